"""The way from an embedded server to its hub: a leaf link, which the server keeps and we watch.

A link can hang half open for hours, so it is probed through: a question to the hub's JetStream. What does not answer is
cut, and the server makes a new link. Whoever works beyond the link begins anew with each new one, because the hub may
have been started from an older copy of its store meanwhile.

leaf_link.py   probes, and restarts what is silent
"""

from mesh.leaf.leaf_link import LeafLink

__all__ = ["LeafLink"]
