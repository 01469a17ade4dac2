// A client of Ganglion with nothing but NATS: npm install, and then
//
//   node ganglion.js run    nats://127.0.0.1:4222 double '{"n": 21}'    start a workflow, wait for its end
//   node ganglion.js follow nats://127.0.0.1:4222                       show what happens, on all agents
//   node ganglion.js ask    nats://127.0.0.1:4222 pi-7a3f list '{}'     ask an agent, as its own user:
//                                                                       NATS_USER and NATS_PASSWORD
//
// `run` knows its execution by the workflow's outputs: double.yaml gives the id of the message back in them.
"use strict";
const { randomUUID } = require("node:crypto");
const { connect, JSONCodec } = require("nats");

const json = JSONCodec();

// Publish to the stream that starts workflows. The acknowledgement says that the message is kept; sent again with the
// same id, because no acknowledgement came, it starts nothing twice.
async function run(nc, workflow, data) {
  const id = randomUUID();
  const ends = nc.subscribe(`ganglion.event.default.*.${workflow}.workflow.*`);
  await nc.flush(); // listens before anything can happen
  await nc.jetstream().publish(`ganglion.trigger.default.any.${workflow}`, json.encode(data), { msgID: id });
  for await (const message of ends) {
    const event = json.decode(message.data); // a CloudEvent
    if (event.type === "ganglion.workflow.completed" && event.data.outputs?.id === id) {
      return event;
    }
  }
}

// Facts of all agents as they are told. Those that were missed meanwhile are in the stream GANGLION_EVENTS.
async function follow(nc) {
  const events = nc.subscribe("ganglion.event.default.>");
  await nc.flush();
  console.log(JSON.stringify({ ready: true }));
  for await (const message of events) {
    const event = json.decode(message.data);
    console.log(`${event.source} ${event.sequence} ${event.type} ${event.workflow} ${event.subject ?? ""}`);
  }
}

// A verb of an agent's service. A refusal says in its body what to do next.
async function ask(nc, agent, verb, request) {
  const reply = await nc.request(`ganglion.service.default.${agent}.${verb}`, json.encode(request), { timeout: 5000 });
  const answer = json.decode(reply.data);
  if (reply.headers?.get("Nats-Service-Error-Code")) {
    throw new Error(answer.message);
  }
  return answer;
}

async function main([command, servers, ...rest]) {
  const nc = await connect({ servers, user: process.env.NATS_USER, pass: process.env.NATS_PASSWORD });
  try {
    if (command === "run") {
      console.log(JSON.stringify(await run(nc, rest[0], JSON.parse(rest[1]))));
    } else if (command === "follow") {
      await follow(nc);
    } else {
      console.log(JSON.stringify(await ask(nc, rest[0], rest[1], JSON.parse(rest[2] ?? "{}"))));
    }
  } finally {
    await nc.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
