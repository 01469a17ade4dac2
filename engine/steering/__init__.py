"""What people ask of executions, running or stored.

steering.py     pause, resume, cancel, resolve
rerun.py        let one run again; forking.py begins another one where it stood
revival.py      which rows go and which stay for that (pure), over row_tree.py and outline.py
inspection.py   what nodes were given, evaluated again to be shown
"""
