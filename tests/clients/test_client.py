import inspect
from functools import partial

import httpx
import numpy as np
import pytest

from phenoclient import (
    AsyncClient,
    Client,
    Distance,
    Prediction,
    PredictionSet,
    StackNotice,
    StainAttribution,
    TreatmentProbability,
)
from phenoclient.errors import (
    ClosedClientError,
    ServiceTimeoutError,
    ServiceUnreachableError,
    StackArgumentError,
    UnreadableAnswerError,
)

from .conftest import BASE_URL
from .fake_service import (
    CHANNELS,
    PNG,
    TREATMENTS,
    FakeService,
    bundle_body,
    common_body,
    problem,
    stack_body,
)

CALLS = {
    "predict": ("predict", {}),
    "predict in another order": ("predict", {"channels": ("RNA", "DNA")}),
    "embed": ("embed", {}),
    "embed the projection": ("embed", {"kind": "projection"}),
    "explain": ("explain", {}),
    "explain a treatment": ("explain", {"treatment": "EMPTY", "channels": ["RNA", "DNA"]}),
    "explain the stains": ("explain", {"stains": True}),
    "explain every treatment": ("explain_all", {"stains": True, "channels": ["RNA", "DNA"]}),
    "explain as PNG": ("explain_overlay", {"treatment": "EMPTY"}),
    "explain the stains as PNG": ("explain_overlay", {"stains": True}),
    "explain as TIFF": ("explain_map", {}),
}


def test_predict_gives_the_whole_answer_typed(client, stack):
    """A prediction holds every field of the contract."""
    answer = client.predict(stack)
    assert isinstance(answer, Prediction)
    assert answer.prediction == TreatmentProbability("IFN-beta", 0.75)
    assert answer.probabilities == {"EMPTY": 0.25, "IFN-beta": 0.75}
    assert answer.versus_control == {"IFN-beta": 0.875}
    assert answer.forest.probabilities == answer.probabilities
    assert answer.prediction_set == PredictionSet(("IFN-beta",), 0.9)
    assert answer.distance == Distance(value=31.25, percentile=62.5)
    assert answer.in_distribution is True
    assert answer.logits == {"EMPTY": -0.5, "IFN-beta": 0.5986122886681098}
    assert (answer.stack.height, answer.stack.width, answer.stack.dtype) == (40, 36, "uint16")
    assert (answer.stack.channels, answer.stack.channel_order) == (CHANNELS, "bundle")
    assert answer.bundle.name == "fake"


def test_an_answer_says_what_is_odd_about_the_stack(client, service, stack):
    """Notices come with code, stains and sentence on every route; an older service that has none gives none."""
    stack[1] = 7
    notice = StackNotice("dead_channel", ("RNA",), "All pixels of RNA are equal.")
    assert client.predict(stack).stack.notices == client.explain(stack).stack.notices == (notice,)
    body = common_body(stack, httpx.QueryParams()) | stack_body(stack, httpx.QueryParams())["/embed"]
    del body["stack"]["notices"]
    service.next_answers = [httpx.Response(200, json=body)]
    assert client.embed(stack).stack.notices == ()


def test_embed_gives_a_float32_vector(client, stack):
    """An embedding is a float32 array of `dim` numbers, those that the service sent."""
    answer = client.embed(stack)
    np.testing.assert_array_equal(answer.embedding, stack.mean(axis=(1, 2), dtype=np.float32))
    assert (answer.kind, answer.dim, answer.embedding.dtype) == ("embedding", 2, np.float32)
    assert client.embed(stack, kind="projection").kind == "projection"


def test_explain_gives_the_grid_the_overlay_and_the_map(client, stack):
    """An explanation comes as a grid, as the bytes of a PNG, and as a float32 map of the field's size."""
    answer = client.explain(stack, treatment="EMPTY")
    assert answer.treatment == "EMPTY"
    assert answer.heatmap.values.shape == (answer.heatmap.height, answer.heatmap.width) == (2, 3)
    assert answer.heatmap.scale_px == (20.0, 12.0)
    assert client.explain_overlay(stack) == PNG
    heatmap = client.explain_map(stack)
    np.testing.assert_array_equal(heatmap, stack.sum(axis=0).astype(np.float32))


def test_the_stains_are_explained_when_asked_for(client, service, stack):
    """`stains=True` travels as a parameter and gives the value of every stain; without it there is none."""
    assert client.explain(stack).stains is None
    answer = client.explain(stack, stains=True)
    assert answer.stains == StainAttribution(
        {"DNA": 1.5, "RNA": -0.25}, baseline_logit=-0.5, logit=0.75, baseline="field_mean"
    )
    client.explain_overlay(stack, stains=True)
    client.explain_overlay(stack)
    asked = [request.url.params.get("stains") for request in service.requests]
    assert asked == [None, "true", "true", None]


def test_all_treatments_are_explained_by_one_request(client, service, stack):
    """`explain_all` gives, by treatment and in the service's order, what `explain` gives, in one request."""
    for stains in (False, True):
        found = client.explain_all(stack, stains=stains)
        alone = {name: client.explain(stack, treatment=name, stains=stains) for name in TREATMENTS}
        assert repr(found) == repr(alone)
        assert service.requests[-3].url.params["treatment"] == "*"
    assert len(service.requests) == 6


def test_the_channel_order_is_stated_by_name(client, service, stack):
    """`channels` travels as one comma-separated parameter, and comes back in the answer."""
    answer = client.predict(stack, channels=("RNA", "DNA"))
    assert service.requests[-1].url.params["channels"] == "RNA,DNA"
    assert (answer.stack.channels, answer.stack.channel_order) == (("RNA", "DNA"), "query")


def test_names_with_odd_letters_survive_the_address(client, service, stack):
    """A treatment's name is escaped in the address, whatever is in it."""
    client.explain(stack, treatment="IFN-β & co/100%+")
    assert service.requests[-1].url.params["treatment"] == "IFN-β & co/100%+"


def test_a_string_is_no_sequence_of_channels(client, stack):
    """One string for `channels` is refused rather than taken letter by letter."""
    with pytest.raises(StackArgumentError, match="list or a tuple"):
        client.predict(stack, channels="DNA,RNA")


def test_nothing_is_sent_when_the_stack_is_refused(client, service, tmp_path):
    """A stack that cannot be sent raises before any request is made."""
    with pytest.raises(StackArgumentError):
        client.predict(tmp_path / "absent.tif")
    assert service.requests == []


def test_the_key_and_the_media_types_are_in_the_headers(service, stack):
    """Every request carries the key as a bearer token, names TIFF as its body and says what it accepts."""
    with Client(BASE_URL, api_key="k-123", transport=httpx.MockTransport(service)) as client:
        client.explain_overlay(stack)
    headers = service.requests[0].headers
    assert headers["authorization"] == "Bearer k-123"
    assert (headers["content-type"], headers["accept"]) == ("image/tiff", "image/png")
    assert headers["user-agent"].startswith("phenoclient/")


def test_a_path_in_the_base_url_is_kept(service):
    """Behind a reverse proxy's prefix, routes lie below that prefix."""
    service.next_answers = [httpx.Response(200, json=bundle_body())]
    with Client(f"{BASE_URL}/pheno/", transport=httpx.MockTransport(service)) as client:
        client.bundle()
    assert service.requests[0].url.path == "/pheno/bundle"


@pytest.mark.parametrize(
    "base_url", ["", "phenoserve.test", "ftp://phenoserve.test", "http://", "http://a:b"]
)
def test_an_address_that_is_none_is_refused(base_url):
    """A base URL that is not an http or https address is refused at once."""
    with pytest.raises(ValueError, match="base_url"):
        Client(base_url)


@pytest.mark.parametrize("api_key", ["", "a\nb", "ключ", "a b"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(api_key):
    """A key that cannot stand in a header is refused, and the message does not hold it."""
    with pytest.raises(ValueError, match="API key") as caught:
        Client(BASE_URL, api_key=api_key)
    assert not api_key or api_key not in str(caught.value)


def test_bundle_tells_what_is_served(client):
    """`bundle()` gives the model's name, its stains and treatments, the device and the whole manifest."""
    served = client.bundle()
    assert (served.name, served.version, served.device) == ("fake", "1", "cpu")
    assert (served.channels, served.control) == (CHANNELS, "EMPTY")
    assert served.manifest["input"]["downsample"] == 1


def test_ready_is_false_while_the_service_is_not_ready(client, service):
    """`ready()` is True for 200 and False for 503, asked once."""
    service.next_answers = [problem(503, "not_ready", headers={"retry-after": "1"})]
    assert [client.ready(), client.ready()] == [False, True]
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError("refused"), ServiceUnreachableError),
        (httpx.ReadError("reset"), ServiceUnreachableError),
        (httpx.RemoteProtocolError("not HTTP"), ServiceUnreachableError),
        (httpx.DecodingError("broken gzip"), ServiceUnreachableError),
        (httpx.ConnectTimeout("slow"), ServiceTimeoutError),
        (httpx.ReadTimeout("slow"), ServiceTimeoutError),
        (httpx.PoolTimeout("slow"), ServiceTimeoutError),
    ],
)
def test_failures_of_the_connection_have_their_own_errors(client, service, stack, failure, error):
    """A failure below HTTP is raised as phenoclient's own, with httpx's as its cause, and not retried."""
    service.next_answers = [failure]
    with pytest.raises(error, match=r"http://phenoserve\.test") as caught:
        client.predict(stack)
    assert caught.value.__cause__ is failure
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<p>hello</p>"),
        httpx.Response(200, json=["a", "list"]),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b"{"),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b"[" * 100_000),
        httpx.Response(307, headers={"location": "https://elsewhere.test/predict"}),
        httpx.Response(204),
    ],
)
def test_an_answer_of_another_kind_of_server_is_not_taken(client, service, stack, answer):
    """Whatever is not phenoserve's answer raises UnreadableAnswerError, which carries it."""
    service.next_answers = [answer]
    with pytest.raises(UnreadableAnswerError, match="Expected") as caught:
        client.predict(stack)
    assert caught.value.response is answer


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("https://elsewhere.test/pheno/predict?a=b", "use https://elsewhere.test/pheno as the base URL"),
        ("https://login.test/?from=predict", "check the base URL"),
        ("/predict", "check the base URL"),
        ("", "check the base URL"),
    ],
)
def test_a_redirection_names_the_base_url_that_it_leads_to(client, service, stack, location, advice):
    """Where the same route lies at another address, that address without the route is what to use."""
    service.next_answers = [httpx.Response(308, headers={"location": location})]
    with pytest.raises(UnreadableAnswerError, match=rf"308.*{advice}\."):
        client.predict(stack)


def test_a_map_that_is_no_map_is_not_taken(client, service, stack):
    """A TIFF answer that does not hold one float32 map raises UnreadableAnswerError."""
    service.next_answers = [httpx.Response(200, headers={"content-type": "image/tiff"}, content=b"II*\0")]
    with pytest.raises(UnreadableAnswerError, match="float32 map"):
        client.explain_map(stack)


@pytest.mark.anyio
@pytest.mark.parametrize("call", CALLS)
async def test_both_clients_give_the_same_answers(service, channel_files, call):
    """AsyncClient sends the same requests and gives the same answers as Client, method by method."""
    method, options = CALLS[call]
    transport = httpx.MockTransport(service)
    with Client(BASE_URL, transport=transport) as client:
        expected = getattr(client, method)(channel_files, **options)
    async with AsyncClient(BASE_URL, transport=transport) as client:
        answer = await getattr(client, method)(channel_files, **options)
    first, second = service.requests
    assert (first.method, first.url, first.content) == (second.method, second.url, second.content)
    assert first.headers == second.headers
    assert repr(answer) == repr(expected)


@pytest.mark.anyio
async def test_the_async_client_asks_for_bundle_and_readiness_too(service):
    """`bundle()` and `ready()` of AsyncClient answer as those of Client."""
    transport = httpx.MockTransport(service)
    async with AsyncClient(BASE_URL, transport=transport) as client:
        service.next_answers = [problem(503, "not_ready"), httpx.ConnectError("refused")]
        assert await client.ready() is False
        with pytest.raises(ServiceUnreachableError):
            await client.ready()
        assert await client.ready() is True
        assert (await client.bundle()).name == "fake"


def public_methods(client_class: type) -> dict[str, str]:
    return {
        name: str(inspect.signature(method))
        for name, method in vars(client_class).items()
        if not name.startswith("_") and name not in {"close", "aclose"}
    }


def test_both_clients_have_the_same_methods():
    """Method names, parameters, defaults and answers of Client and AsyncClient are the same."""
    assert public_methods(Client) == public_methods(AsyncClient)


def test_a_client_keeps_its_connection(stack):
    """Requests of one client share its pool; a closed client refuses to send."""
    service = FakeService()
    client = Client(BASE_URL, transport=httpx.MockTransport(service))
    list(map(partial(client.predict), [stack, stack]))
    client.close()
    with pytest.raises(ClosedClientError, match="closed"):
        client.predict(stack)
    with pytest.raises(ClosedClientError, match="closed"), client:
        pass
