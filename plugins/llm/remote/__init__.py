"""Models behind HTTP. Every provider is a small translation of the same conversation; streams are read as they come.

sse.py         server-sent events from chunks of bytes, however they are cut
ndjson.py      lines of JSON, the same
answers.py     what a status says: try again, when, or never
openai.py      chat completions of any compatible server
anthropic.py   messages
ollama.py      chat
"""
