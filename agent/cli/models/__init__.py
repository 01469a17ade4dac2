"""`ganglion models`: which models there are, and files for more of them.

group.py     the group, and what it lists when nothing else is asked
known.py     what the configuration and the data directory say of a model
live.py      what a running agent says of them
listing.py   `list`
show.py      `show`; page.py: all that is known of one
add.py       `add`; progress.py: how far a file is
verify.py    `verify`
bench.py     `bench`; speed.py: what is measured
remove.py    `remove`
"""
