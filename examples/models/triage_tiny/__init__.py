"""How triage-tiny was made: a language model of a million parameters that reads sensor reports.

    conversations.py  what it learns from, and is asked in its evaluation: made up, endless, the same for the same seed
    tokenizer.py      text <-> tokens
    network.py        the model itself (torch)
    training.py       conversations -> a checkpoint (torch, numpy)
    export.py         a checkpoint -> a GGUF file (gguf)

The scripts train.py and evaluate.py in the folder above are the ways in.
"""
