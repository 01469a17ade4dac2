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

of what another workflow came to:

    chained.py    reads the facts, behind a position that moves with what they start
    chain.py      what one workflow wants of another, and what it makes of a fact
    happenings.py what a fact says
    circles.py    do deployed workflows start each other in a circle?

and of a file, which the agent finds:

    files.py      which files were taken, and what is still to be done with them
    found.py      a file at rest, and what taking it in writes

of what happens anywhere in the fleet, on the agent that records it:

    fleet/        reads the record, behind a position as chained.py

(Subjects, schedules and patterns of files themselves, as a workflow writes them, are `engine/subjects.py`,
`engine/schedule.py` and `engine/file_patterns.py`.)
"""
