"""Programs at rest, and what the kernel counts of them meanwhile.

process.py   what one process takes      agent.py       an agent that runs for a block
parts.py     what of it is optional      rest.py        one look at several of them
hub.py       a server for leaf links     matrix.py      how that is shown
node_red.py  Node-RED beside it          executions.py  what executions write
wasm.py      what wasmtime takes
"""
