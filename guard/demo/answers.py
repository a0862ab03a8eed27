"""The stand-in model's answers to ordinary questions: written out in advance, and chosen by a word of the prompt."""

from __future__ import annotations

import re

_TIDES = """\
Twice, because two bulges of water travel around the Earth and not one. The Moon pulls hardest on the ocean \
nearest to it, a little less on the solid Earth, and least on the ocean at the far side. The near water is drawn \
ahead of the planet and the far water is left behind, so the sea stands high in two places at once. As the Earth \
turns, most coasts pass through both of them in a little under twenty-five hours. The Sun does the same at about \
half the strength: when it lines up with the Moon we get the large spring tides, and when it stands at a right \
angle the small neaps."""

_EGG = """\
Bring a small pan of water to a steady simmer and lower the egg in on a spoon, straight from the fridge. Count \
six and a half minutes for a set white and a liquid yolk, eight for a yolk like soft butter, and eleven if you \
want to slice it. Then move the egg into a bowl of cold water with some ice in it, and leave it there for at \
least two minutes: that stops the cooking and makes the shell let go. Older eggs peel more easily than fresh \
ones. If the shell tends to crack, prick the round end with a pin before you start."""

_BLOOM = """\
A Bloom filter is a small table that answers one question about a set: have I seen this before? To add an item \
you hash it several times, and set the bits at the resulting positions. To ask about one, you hash it again and \
look at the same bits. If any of them is zero, the item was certainly never added. If all of them are one, it \
probably was, though other items may have set those bits between them. So the filter can be wrong in one \
direction only. It keeps none of the items themselves, and needs about ten bits for each at an error rate of one \
in a hundred, however long they are."""

_SKY = """\
Sunlight is a mixture of all colours, and air scatters them unequally. Molecules of nitrogen and oxygen are far \
smaller than a wavelength of light, and particles that small scatter short waves much better than long ones: \
blue about four times as strongly as red. The red goes nearly straight through, while the blue is bounced about \
until it reaches your eyes from every part of the sky. Violet is scattered more still, but the Sun sends out \
less of it and our eyes hardly notice it. In the evening the light crosses so much air that the blue is lost on \
the way, and what arrives is orange."""

_PUNCTURE = """\
Take the wheel off, let out the rest of the air and work one side of the tyre over the rim with two levers. Pull \
out the inner tube, pump it up a little and hold it close to your cheek: you will feel the leak before you hear \
it. Mark the spot, roughen it with the sandpaper from the kit, spread a thin layer of glue and wait until it \
looks dry. Press the patch on hard for a minute. Before the tube goes back, run your fingers slowly round the \
inside of the tyre, because whatever made the hole is often still in there. Then refit the bead by hand, not \
with the levers."""

_ANYTHING_ELSE = """\
I would rather be honest about this: I am not a language model but a stand-in for one, made for the demo of \
Regurgitation Guard. I know three works by heart, a short story, a poem and a Python module, and I recite them \
whenever a prompt calls them up, as a real model does with what it has memorised. Besides those I have a few \
paragraphs ready: why there are two tides a day, how long to boil an egg, what a Bloom filter does, why the sky \
is blue and how to mend a puncture. Ask me for one of these, or put the guard in front of a real model and ask \
that one anything at all."""

_ANSWERS = (
    (re.compile(r"\btid(e|es|al)\b", re.IGNORECASE), _TIDES),
    (re.compile(r"\beggs?\b", re.IGNORECASE), _EGG),
    (re.compile(r"\bbloom\b", re.IGNORECASE), _BLOOM),
    (re.compile(r"\bsky\b", re.IGNORECASE), _SKY),
    (re.compile(r"\b(puncture|tyre|tire|bicycle|bike)\b", re.IGNORECASE), _PUNCTURE),
)


def ordinary_answer(prompt: str) -> str:
    """About a hundred words on what the prompt names last, or, if it names nothing known, a word about the stand-in."""
    named = [(hit.start(), answer) for topic, answer in _ANSWERS for hit in topic.finditer(prompt)]
    return max(named)[1] if named else _ANYTHING_ELSE
