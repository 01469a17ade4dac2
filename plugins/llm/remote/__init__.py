"""Models behind HTTP. Every provider is a small translation of the same conversation; streams are read as they come.

    model.py ──> dialect: openai, anthropic, ollama     the request, and a reader for the stream
       │  └────> exchange.py ──> reader ──> draft.py    one request, its answer as it comes, the reply
       └───────> concessions.py                         what the server did not take; then once more without

Reading order:

    provider.py     which dialect a model has, and its key
    model.py        the provider's contract
    dialect.py      what a translation is; openai.py, anthropic.py, ollama.py are the three
    exchange.py     one request, watched: silence, a listener that has gone, a connection that breaks
    draft.py        an answer while it comes
    answers.py      what a provider's no means; again.py: when it may be asked again
    concessions.py  what a server does not take, learned from its refusals
    history.py      a conversation as every provider takes it
    schemas.py      JSON Schemas as providers take them
    sse.py          server-sent events from chunks of bytes, however they are cut
    ndjson.py       lines of JSON, the same
"""
