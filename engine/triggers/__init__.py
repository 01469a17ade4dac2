"""What starts an execution.

message.py   a message from outside, and what became of it
subjects.py  NATS subjects as text: valid, matching, overlapping, covering
bodies.py    a message's body as `trigger.data`
routes.py    which workflows a subject starts
intake.py    messages -> inbox rows and executions in one commit, or dead letters
cron.py      schedules
"""
