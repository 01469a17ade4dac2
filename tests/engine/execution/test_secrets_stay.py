"""What a node reveals appears nowhere: not in errors, logs, outputs, facts, live events, or any byte of the store."""

from engine.contract import Done, Fail, Retry, Wait

KEY, LONG = b"canary-5f3a9c", b"canary-5f3a9c-and-more"
NODE = '{type: act, token: "Bearer {{ secrets.LONG }} {{ secrets.KEY }}"'


async def test_no_trace_of_a_secret_is_left(open_rig, secrets, acting, tmp_path):
    run = acting.run

    def spill(how):
        async def act(ctx, params):
            text = ctx.secret(params.token)
            ctx.log(f"using {text}", token=text, nested={"x": [text]})
            ctx.emit(0.5, text, token=text)
            parts = {text.split()[1]: [text, {"k": text.split()[2]}]}
            if how == "publish":
                ctx.publish(f"log.{text.split()[1]}", text.encode(), headers={"Token": text})
            if how == "state":
                await ctx.state.set(text.split()[1], parts)
                await ctx.state.compare_and_set("k", None, text)
            if how == "retry" and ctx.attempt < 2:
                return Retry(f"no {text}")
            if how == "wait" and ctx.wake is None:
                return Wait(0, memo=parts)
            if how == "fail":
                return Fail(f"refused {text}")
            if how == "bug":
                raise RuntimeError(f"broken {text}")
            return Done(parts if how != "text" else text)

        return act

    ways = ("output", "text", "publish", "state", "retry", "wait", "fail", "bug")
    acts = {way: spill(way) for way in ways}

    async def run_with_params(ctx, params):
        return await acts[ctx.path](ctx, params) if ctx.path in acts else await run(ctx, params)

    acting.run = run_with_params
    nodes = "\n".join(f"  {way}: {NODE}, on_error: continue, retry: {{max: 1, delay: 0s}}}}" for way in ways)
    async with open_rig(secrets=secrets, acting=acting) as rig:
        row = await rig.run(
            f"name: w\nevents: {{outputs: true}}\nnodes:\n{nodes}\n"
            f'  plain: {{type: act, token: "{{{{ secrets.KEY }}}}"}}\n'
            'outputs: ["{{ nodes.output }}", "{{ nodes.wait }}", "{{ errors.fail.message }}"]'
        )
        assert row.status == "completed"
        assert b"[secret LONG]" in row.outputs
        [message] = await rig.engine.outbox.publications()
        assert message.body == b"Bearer [secret LONG] [secret KEY]"
        await rig.copy_to(tmp_path / "copy")
        shown = [*map(repr, rig.logs), *map(repr, rig.seen), str(await rig.ask("show", execution=row.id))]

    files = [*(tmp_path / "copy").iterdir(), *tmp_path.glob("ganglion.db*")]
    assert len(files) >= 2
    for content in [*(file.read_bytes() for file in files), *(text.encode() for text in shown)]:
        assert KEY not in content
    assert any("[secret KEY]" in text for text in shown)


async def test_marker_that_is_not_revealed_shows_its_mask(open_rig, secrets, acting, decoded):
    seen = []

    async def echo(ctx, params):
        ctx.log("got it", token=params.token)
        ctx.emit(token=[params.token])
        seen.append(params.token)
        return Done({"echo": [params.token], params.token: 1})

    acting.run = echo
    async with open_rig(secrets=secrets, acting=acting) as rig:
        row = await rig.run('name: w\nnodes:\n  a: {type: act, token: "{{ secrets.KEY }}"}\noutputs: "{{ nodes.a }}"')

        assert decoded(row.outputs) == {"echo": ["[secret KEY]"], "[secret KEY]": 1}
        assert [type(token) for token in seen] != [str]
        assert all(KEY not in repr(event).encode() for event in rig.seen)


async def test_secret_that_is_not_there_fails_the_node(open_rig, secrets, acting, decoded):
    async def use(ctx, params):
        ctx.secret(params.token)

    acting.run = use
    async with open_rig(secrets=secrets, acting=acting) as rig:
        row = await rig.run('name: w\nnodes:\n  a: {type: act, token: "{{ secrets.NONE }}"}')

        error = decoded(row.error)
        assert error["kind"] == "secret"
        assert "no secret named NONE: put it into" in error["message"]
