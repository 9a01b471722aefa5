"""Names of channels mean the same to the service and to the Python client."""

from hypothesis import given, settings
from hypothesis import strategies as st

import phenoclient.stain_names as client
from phenoserve.stack import AmbiguousChannelsError, match_stains

WORDS = (
    "hoechst", "33342", "33258", "cona", "Concanavalin A", "con-a", "WGA", "Wheat germ agglutinin", "SYTO14", "syto 14",
    "MitoTracker", "mito tracker", "Deep Red", "green", "FM", "Phalloidin", "Alexa Fluor 488", "AF488", "AF 568", "Cy5",
    "FITC", "Texas Red-X", "conjugate", "stain", "DAPI", "DNA", "\u03b3H2AX", "w2", "\uff37\uff47\uff41", "™", "\u0663",
    "",
)  # fmt: skip
names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


@settings(max_examples=2000, deadline=None)
@given(st.lists(names.filter(str.strip), min_size=1, max_size=4, unique=True), st.data())
def test_the_client_reads_names_as_the_service_does(stains, data):
    """Whatever the names, and however many, both find the same order, both take the bundle's, or both refuse."""
    sizes = st.just(len(stains)) | st.integers(0, 5)
    size = data.draw(sizes)
    given_names = data.draw(st.lists(names | st.sampled_from(stains), min_size=size, max_size=size))
    found = client.match_stains(given_names, stains)
    try:
        expected = match_stains(given_names, stains).order
    except AmbiguousChannelsError:
        assert found.refusal is not None
    else:
        assert (found.order, found.refusal) == (expected, None)
