"""llama.cpp in this process; owns llama_cpp, which is imported when the first model is loaded.

provider.py      the contract over all that
worker.py        the thread that owns one loaded model
loaded.py        what native code holds of it
llama.py         the model on that thread: reads a prompt, writes token by token
state.py         what it has read before and need not read again
sampler.py       which token is next
words.py         tokens' bytes to text that may be told
chat.py          messages -> the tokens that the model was trained on
grammar.py       JSON Schema -> grammar, with gbnf.py (its text) and numerals.py (numbers between bounds)
gguf.py          what a file says of itself, with quantisation.py; one that is cut off is found before native code sees
                 it
memory.py        how much memory it will take
library.py       llama.cpp itself: silent, its complaints kept for messages
"""
