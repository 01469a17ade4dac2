"""llama.cpp in this process; owns llama_cpp and numpy, which are imported when the first model is loaded.

gguf.py      what a model's file says of itself; finds out that it is cut off before native code sees it
worker.py    the thread that owns one loaded model
llama.py     the model on that thread: reads a prompt, writes token by token, reuses what it has read before
grammar.py   JSON Schema -> grammar
chat.py      messages -> the text that the model was trained on
provider.py  the contract over all that
"""
