"""Publish messages with a plain MQTT client (paho-mqtt), quality of service 1.

    python publish_mqtt.py 127.0.0.1 1883 < messages.jsonl

Standard input holds one JSON object a line: {"topic": …, "data": …}. The topic a/b/c is the NATS subject a.b.c.
Prints how many messages the broker acknowledged.
"""

import json
import sys

import paho.mqtt.client as mqtt


def main(host: str, port: int) -> None:
    messages = [json.loads(line) for line in sys.stdin]
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="sensor")
    client.connect(host, port)
    client.loop_start()
    sent = [client.publish(message["topic"], json.dumps(message["data"]), qos=1) for message in messages]
    for handle in sent:
        handle.wait_for_publish(timeout=10)
    acknowledged = sum(handle.is_published() for handle in sent)
    client.disconnect()
    client.loop_stop()
    print(acknowledged)
    if acknowledged < len(messages):
        sys.exit("some messages were not acknowledged")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
