"""The demonstration: a real agent, real clients that know nothing of it, and a check for every claim.

story.py   the acts, and what each must show
stage.py   the agent's process, the commands and the clients, in a directory that goes away afterwards
ledger.py  a small HTTP service that books readings: the witness of what was done, and how often
"""
