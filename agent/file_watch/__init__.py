"""Watched directories: finds files that somebody has finished writing, and hands them to the engine.

    places.py    which directories a workflow may ask for
    folder.py    directories and files below such a place; symbolic links are never followed there
    entry.py     one trigger: what it has seen, and which files are ready for it
    settling.py  has a file come to rest?
    hints.py     where to look soon: notifications of the system (inotify.py: of Linux)
    moving.py    what becomes of a file that was taken in
    watch.py     the service

Looking is the truth: all directories are looked at now and then, at the start first of all. Notifications only make it
sooner, so what they miss is late, never lost.
"""
