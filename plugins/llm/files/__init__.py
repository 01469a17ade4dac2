"""Model files that people add, beside the configuration: NAME.gguf and NAME.json in `<data_dir>/models`.

    a FILE or a URL -> NAME.gguf.part -> checksum and structure -> NAME.gguf -> NAME.json

What has a manifest is whole: it is written last. Everything here blocks; an agent calls it on a thread.

errors.py    why a file can't be had, and what to do
origin.py    where a file comes from, as a person names it
part.py      the file that is not whole yet: held by one process, continued after an interruption
download.py  a URL into a part: ranges, retries, redirects
checking.py  checksum and structure of a file
adding.py    all of it together, and the manifest
"""
