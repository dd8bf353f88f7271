"""Every word and number of the app that needs a sentence, once, in plain words."""

from __future__ import annotations

# What stands for each level of ``csp_core.model.LEVEL_MEANING``: a mark for those who do not see
# its colour, and words.
LEVELS = {
    "good": ("●●●", "Well recorded"),
    "some": ("●●○", "Fairly well recorded"),
    "little": ("●○○", "Thinly recorded"),
    "none": ("○○○", "Hardly recorded"),
    "unknown": ("– –", "Not known how well recorded"),
}
# Term to one or two sentences; ``{one}`` and ``{many}`` are what a model ranks, such as species.
GLOSSARY = {
    "recording": (
        "One note of a {one} at a place, such as a sound or a photo that somebody made there. All"
        " that a model knows comes from recordings."
    ),
    "often, sometimes, rarely": (
        "Sort the recordings that the model expects here by {one}, the most recorded first. Often:"
        " the {many} of the first half. Sometimes: those of the next four tenths. Rarely or never:"
        " all others."
    ),
    "too few recordings to say": (
        "Fewer than 10 recordings of any {one} within 250 km, or fewer than 3 of this one where the"
        " model expects it. A word would be no more than a guess."
    ),
    "share": (
        "Of all recordings made here, of the {many} that the model knows, the part that would be of"
        " this one. It is not the chance that the {one} is present."
    ),
    "score": (
        "A number from 0 to 1 that puts places and {many} in order. It is no percentage, and not"
        " the chance that the {one} is present."
    ),
    "probability": (
        "How likely it is that this {one} is in the label set of a patch here. Each stands by"
        " itself, so the numbers of a list need not sum to 100 %."
    ),
    "label set": (
        "All {many} of one patch. A {one} counts as being in the set where its probability reaches"
        " a threshold of its own, which was fitted on records that the model had not learned from."
    ),
    "more likely here": (
        "The probability here divided by the part of all label sets, of those that the model"
        " learned from, that have it."
    ),
    "more here than elsewhere": (
        "The share here divided by the share in all recordings that the model learned from. 2×"
        " means: recorded here twice as much as on the whole."
    ),
    "well recorded": (
        "How many recordings of any {one} lie within 250 km: well from 200, fairly well from 50,"
        " thinly from 10 (trust the order, not the numbers), hardly below that."
    ),
    "a guess": (
        "Where fewer than 10 recordings lie within 250 km, the model only carries on what it"
        " learned elsewhere. Maps are hatched there, and lists show no numbers."
    ),
    "within 250 km": (
        "The one circle in which recordings are counted, dashed on the map. Models keep them as"
        " counts in coarse cells, not as single places, so its edge is rough."
    ),
    "9 of 10": (
        "In about 9 of 10 cases, the {one} of a recording made here is among so many first ones of"
        " the list. This was measured on recordings that the model had not seen."
    ),
    "not on the list": (
        "A model knows the {many} that it learned, and no others. One that is missing may well be"
        " there; no recording does not mean that nothing is."
    ),
    "threshold": (
        "The line on a range map surrounds the places where the share is at least this large. You"
        " choose it, and the area inside is not the size of a range."
    ),
    "cluster": (
        "Places that the model sees as alike: what is recorded at one tends to be recorded at the"
        " others."
    ),
    "overlap": (
        "IoU, of a class of pixels: those rightly said to be of it, divided by all that are of it"
        " or are said to be. 1 is a map without an error; the mean counts each class alike, rare"
        " ones too."
    ),
    "labels given that count": (
        "A method for few labels guesses the label of each picture that has none, and learns from"
        " a guess where it is sure enough. This is the part that it is sure of; whether the guesses"
        " are right, the validation numbers say."
    ),
    "teacher and model": (
        "The teacher is a network that helps in training and may know where and when a picture was"
        " taken. The model, which stays, sees the picture alone, so it works where nothing is known"
        " of places."
    ),
    "model": (
        "A file that has learned from recordings which {many} to expect where. Each has its own"
        " {many}, its own gaps and its own licence."
    ),
}
# Licences as models name them, in words; others are shown as they are.
LICENSES = {
    "cc-by-nc-sa-4.0": (
        "CC BY-NC-SA 4.0: share and change it as you like, but name the authors, sell nothing of"
        " it, and pass it on under the same terms."
    ),
    "cc-by-nc-4.0": "CC BY-NC 4.0: share and change it, name the authors, sell nothing of it.",
    "cc-by-sa-4.0": "CC BY-SA 4.0: share and change it, name the authors, keep the same terms.",
    "cc-by-4.0": "CC BY 4.0: use it for anything, and name the authors.",
    "cdla-permissive-1.0": (
        "CDLA-Permissive 1.0: use it for anything, and pass its text on with what you share."
    ),
    "cc0-1.0": "CC0: use it for anything.",
    "mit": "MIT licence: use it for anything, and keep the notice of its authors.",
    "unstated": "Its authors name no licence; ask them before you pass it on.",
}
