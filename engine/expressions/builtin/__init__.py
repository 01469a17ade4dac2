"""The functions, filters and tests of the language, by subject; `engine.expressions.catalog` lists them all."""
