"""The options of `run` and `create`: what docker's users type, made into `layerkit.ops.wishes`.

Each module parses one kind of text, raising `UsageError`; `options` puts them together. As `run` starts
with this, what only some options need is imported where they are parsed.
"""
