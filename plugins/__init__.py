"""What nodes can do to the world.

Everything here uses the public node contract (`engine.contract`) and nothing else, as a WASM plugin does.

    registry.py      the node types that an agent knows, and which of them are off
    nodes/           one file per built-in type: its description, parameters, example and code
    llm/             language models, local and remote
    http_client.py   the one HTTP client of the process; owns httpx
    http_stream.py   the body of its answer as it comes
    http_faults.py   what went wrong in it, said without secrets
    inflate.py       a compressed body, unpacked no further than its reader asks
    http_answer.py   what an HTTP answer says: its body as data, when to ask again
    process.py       one child process, bounded in time and output, gone with everything it started
    masking.py       secrets revealed for one attempt, and hidden again in whatever comes back
    wasm/            WebAssembly, with a limit for everything
    message.py       what a node may send over NATS: subjects, headers and bodies
    scalar.py        values where only text can stand: headers, arguments, environment
    time_left.py     how long an attempt may still take
"""
