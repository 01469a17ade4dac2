"""Programs at rest, and what the kernel counts of them meanwhile.

process.py   what one process takes      agent.py      an agent that runs for a block
parts.py     what of it is optional      node_red.py   Node-RED beside it
hub.py       a server for leaf links
"""
