"""A model of the pipeline around the real rules of processor and sink, for schedules no broker would play on demand.

`broker` and `database` are the worlds outside, `processor` and `sink` the actors, `market` the input, `oracle` the
naive truth, `schedule` what happens when.
"""
