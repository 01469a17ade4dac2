"""The models of an agent: which there are, which are in memory, and whose turn it is.

models.py       the façade: `Models.generate` asks the first of a chain that can
catalogue.py    which there are: the configuration's, and those in a folder
checksums.py    whether their files are the right ones
quarantine.py   which stay out of memory: their native code killed the process
residency.py    which are in memory (resident.py), and how one gets there (loading.py)
turns.py        who is next
liveness.py     whether a generation is alive
chain.py        what is said when none could
state.py        how each is, for people
askers_http.py  the asker's HTTP client, as remote models use it
small_file.py   files of a few lines, written whole or not at all
"""
