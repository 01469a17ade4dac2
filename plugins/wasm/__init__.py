"""WebAssembly in this process, by wasmtime.

runtime.py  an engine, and a store for one run, with every limit set
trial.py    whether this machine lets it run, by running something
"""
