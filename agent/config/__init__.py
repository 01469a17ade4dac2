"""Settings: one struct per section, filled from a file, the environment and flags, each over the one before.

section.py  the base of all sections
models.py   [models.<name>]
model.py    every other key, its meaning and its default
units.py    durations and sizes as settings
places.py   where the file and the data are looked for
homes.py    whose the home is that the data would be made in; nearest.py: what of a path is there
sources.py  a file, the environment and flags as trees that know where each key stands
errors.py   what is wrong with settings
load.py     sources -> Config, or every mistake at once
example.py  the keys as config.example.toml
"""

from agent.config.errors import InvalidConfig
from agent.config.load import load_config
from agent.config.model import Config

__all__ = ["Config", "InvalidConfig", "load_config"]
