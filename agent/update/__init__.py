"""Another executable in the place of the running one, and which data directories a program may take.

update.py       the order of it all, forwards and back; outcome.py: how it came out
plan.py         which file, and which databases: all that can be known before the agent stops
journal.py      how far an update is, for whoever goes on after a kill

candidate.py    is a new executable fit to take the place?
signature.py    what is signed, and how it is checked; keys.py: whose signature is trusted
switch.py       files that change places, whole
snapshot.py     databases as they were before another version migrated them

patient.py      the agent of an update: known, stopped, started, well or not
command.py      how it was started; unit.py: what starts and stops it, if somebody else does
running.py      an agent is stopped and started; illness.py: is it well?
hold.py         an agent on trial begins nothing; probation.py is what it does instead

program.py      what runs here: its version, its file, its architecture
directory.py    a data directory that a newer program wrote is refused
health.py       what doctor says of all this

An update, by the phases of its journal. On the right, where tests kill it:

            NAME.new: copied; its signature, architecture and version are right; it runs
            is there room for copies of what it would migrate?
    SWITCH  the journal is there: from now on it goes on            update-planned
            the agent stops; its data directory is locked           update-stopped
            databases that would be migrated are copied             update-copying, update-copied
            NAME -> NAME.old                                        update-kept-old
            NAME.new -> NAME                                        update-switched
    TRIAL   if there are copies, what starts now is held back       update-on-trial
            the new one starts                                      update-started
            it is ready, stays so, and answers; the hold goes       update-let-go
            it works; is it still well?                             update-tried
            the journal goes, then the copies: UPDATED
    BACK    the sick one stops                                      update-going-back
            the copies take their databases' places                 update-putting-back, update-put-back
            NAME.old -> NAME                                        update-went-back
            the old one starts and is well: WENT_BACK

What fails before SWITCH is refused, and nothing was changed. What fails in SWITCH or TRIAL leads to BACK; an agent that
can't be stopped is an error, and the journal stays. Nobody goes back from a new one that has done work which the copies
lack, unless that is asked for (--back): it is started again, and the outcome is STUCK. STUCK too is an old one that
can't be put back, or is not well either. Whoever resumes after a kill begins the journal's phase anew: each step finds
out for itself whether it was done.

NAME is there at each moment, the old file or the new one. Files and databases change under the lock of the data
directory: an agent that a supervisor starts in between finds both of one version.
"""
