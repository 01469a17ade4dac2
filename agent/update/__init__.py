"""Another executable in the place of the running one, and which data directories a program may take.

program.py      what runs here: its version, its file, its architecture
directory.py    a data directory that a newer program wrote is refused
keys.py         whose signature is trusted
signature.py    what is signed, and how it is checked
candidate.py    is a new executable fit to take the place?
switch.py       files that change places, whole
snapshot.py     databases as they were before another version migrated them
hold.py         an agent on trial begins nothing; probation.py is what it does instead
running.py      an agent: how it was started; stop, start, is it well
journal.py      how far an update is, for whoever goes on after a kill
health.py       what doctor says of all this
update.py       the order of it all, forwards and back

    FILE, FILE.sig -> NAME.new      copied and verified: signature, architecture, version, it runs
    journal: switch                 the moment from which it goes on
    the agent stops                 databases are copied, if the new version would migrate them
    NAME -> NAME.old, NAME.new -> NAME
    journal: trial                  the new one starts, is ready and answers, and stays so, held back if it has migrated
    the hold goes                   it works; is it still well?
    the journal goes; NAME.old stays
otherwise
    journal: back                   it stops, the copies and NAME.old take their places again, the old one starts

NAME is there at each moment, the old file or the new one. Files and databases change under the lock of the data
directory: an agent that a supervisor starts in between finds both of one version.
"""
