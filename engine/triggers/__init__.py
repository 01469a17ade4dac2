"""What starts an execution. The way of a message:

    message.py    a message from outside, and what became of it
    intake.py     messages -> inbox rows and executions in one commit, or dead letters
    envelope.py   subject and headers, checked
    routes.py     which workflows a message starts; ears.py which waits it is for; lane.py their subjects as a tree
    bodies.py     its body as `trigger.data`
    ticket.py     what it asks of the commit
    admission.py  who runs the executions, and how many more there is room for

and of a schedule:

    cron.py       schedules start executions

(Subjects and schedules themselves, as a file writes them, are `engine/subjects.py` and `engine/schedule.py`.)
"""
