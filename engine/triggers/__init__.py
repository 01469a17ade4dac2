"""What starts an execution.

message.py    a message from outside, and what became of it
subjects.py   NATS subjects as text: valid, matching, overlapping, covering
bodies.py     a message's body as `trigger.data`
routes.py     which workflows a message starts
intake.py     messages -> inbox rows and executions in one commit, or dead letters
admission.py  who runs them, and how many more there is room for
schedule.py   when a cron schedule is due, in its time zone
cron.py       schedules start executions
"""
