"""Language models as a part of the machine: local ones in the process, remote ones where there is a network.

    node/ llm ─┐                       ┌─ local/    llama.cpp: one owned thread for each model
               ├─> service/ ─> turns ──┤
    agent_loop/┘   (residency,         └─ remote/   OpenAI-compatible, Anthropic, Ollama
                    fallback)

Reading order:

    conversation.py  what is said to a model and what it says: messages, tools, a prompt, a reply
    provider.py      the contract that every kind of model keeps
    errors.py        why a model gave nothing, whether another try or another model may help, and what to do
    spec.py          what is known of a model beforehand: `[models.<name>]`
    asking.py        who asks, and what the asker is told while waiting and listening
    guess.py         how many tokens a prompt has, where nobody can count them
    schema.py        which JSON Schemas are taken; answers.py whether an answer fits
    protocol.py      tools for models that know of none; tools.py whether they are well-formed
    service/         finds, loads and unloads models, gives turns, falls back
    local/, remote/  the providers
    node/            the node type `llm`
    agent_loop/      the node type `agent_loop`: a model that acts by tools
    files/           files that people add: downloads, checksums, manifests
    nodes.py         both node types, for the agent's list
"""
