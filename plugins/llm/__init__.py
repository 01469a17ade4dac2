"""Language models as a part of the machine: local ones in the process, remote ones where there is a network.

    llm node ─┐                    ┌─ local/    llama.cpp: one owned thread for each model
              ├─> Models ─> turns ─┤
    agent_loop┘  (residency,       └─ remote/   OpenAI-compatible, Anthropic, Ollama
                  fallback)

Reading order:

    conversation.py  what is said to a model and what it says: messages, tools, a prompt, a reply
    provider.py      the contract that every kind of model keeps
    errors.py        why a model gave nothing, whether another try or another model may help, and what to do
    spec.py          what is known of a model beforehand: `[models.<name>]`
    asking.py        who asks, and what the asker is told while waiting and listening
    models.py        the service: finds, loads and unloads models, gives turns, falls back; of it
                     catalogue.py which there are; checksums.py whether their files are the right ones;
                     residency.py, resident.py, loading.py which are in memory; quarantine.py which stay out of it;
                     turns.py who is next; liveness.py whether a generation is alive; chain.py when none could;
                     model_state.py how each is; askers_http.py, small_file.py
    protocol.py      tools for models that know of none; tools.py whether they are well-formed
    schema.py        which JSON Schemas are taken; answers.py whether an answer fits
    llm_node.py      the node type `llm`; llm_params.py what it is told, attempt.py it as an asker
    remembering.py   answers that are used again
    agent_loop/      the node type `agent_loop`: a model that acts by tools
    files/           files that people add: downloads, checksums, manifests
    nodes.py         the node types, for the agent's list
"""
