"""Telemetry of a session that is over: every car's samples on one time grid, by lap and by distance, and encoded.

    state, samples = SessionState(source.session), Samples()
    for message in source.messages():
        if not samples.take(message):
            state.apply(message)
    state.finish()
    telemetry = on_grid(samples, Timing.of(state))

`samples` reads the feed's messages, `timing` takes laps, tyres, statuses and weather from the state machine, `grid`
puts both on one grid, `laps` cuts out and compares laps, `frames` and `compact` write it down. All of it is arrays and
no I/O: where it is kept and who may have it is the business of others. See docs/telemetry.md.
"""
