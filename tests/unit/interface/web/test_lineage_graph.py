"""Where a lineage's boxes stand."""

from hypothesis import given
from hypothesis import strategies as st

from thinmesh.interface.web.lineage_graph import BOX_HEIGHT, BOX_WIDTH, graph_of
from thinmesh.planes.product.model import Lineage, Relative


def relative(name, steps):
    return Relative(name, steps, "d", "open", "active")


@st.composite
def lineages(draw):
    counts = {steps: draw(st.integers(0, 13)) for steps in (-2, -1, 1, 2)}
    relatives = [relative("self", 0)]
    relatives += [relative(f"n{steps}_{number}", steps) for steps, count in counts.items() for number in range(count)]
    names = st.sampled_from([one.name for one in relatives])
    edges = draw(st.lists(st.tuples(names, names), max_size=40, unique=True))
    more = draw(st.frozensets(st.sampled_from([one.steps for one in relatives])))
    return Lineage("self", tuple(relatives), tuple(edges), more)


@given(lineages())
def test_every_product_has_a_place_of_its_own_inside_the_drawing(lineage):
    graph = graph_of(lineage)
    assert sorted(box.relative.name for box in graph.boxes) == sorted(one.name for one in lineage.relatives)
    for box in graph.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + BOX_WIDTH <= graph.width
        assert box.y + BOX_HEIGHT <= graph.height
    places = [(box.x, box.y) for box in graph.boxes]
    for x, y in places:
        assert sum(other == x and abs(y - row) < BOX_HEIGHT for other, row in places) == 1


@given(lineages())
def test_inputs_are_left_and_outputs_right(lineage):
    graph = graph_of(lineage)
    by_steps = sorted((box.relative.steps, box.x) for box in graph.boxes)
    assert [x for _, x in by_steps] == sorted(x for _, x in by_steps)


@given(lineages())
def test_every_edge_but_to_oneself_is_a_line(lineage):
    graph = graph_of(lineage)
    assert [(line.source, line.target) for line in graph.lines] == [
        edge for edge in lineage.edges if edge[0] != edge[1]
    ]


def test_an_input_of_an_input_stands_left_of_it():
    relatives = (relative("self", 0), relative("source", -1), relative("made", -1))
    graph = graph_of(Lineage("self", relatives, (("source", "self"), ("made", "self"), ("source", "made"))))
    places = {box.relative.name: box.x for box in graph.boxes}
    assert places["source"] < places["made"] < places["self"]


def test_a_product_alone_is_one_box():
    graph = graph_of(Lineage("self", (relative("self", 0),), ()))
    assert (len(graph.boxes), graph.lines, graph.more) == (1, (), ())


def test_long_names_are_cut():
    (box,) = graph_of(Lineage("x" * 63, (relative("x" * 63, 0),), ())).boxes
    assert box.label.endswith("…")
    assert len(box.label) < 20
