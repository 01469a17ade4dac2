"""Templates of workflows: those that come with the program, and the files made from them.

*.yaml        the built-in ones
catalogue.py  built-in or a file: which one is meant
making.py     a template and values become a file that says where it comes from, and can be made again
"""
