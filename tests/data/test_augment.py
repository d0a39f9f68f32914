"""Effects one by one, the draws, and the table of what was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.data.augment.babble import Babble, BabbleSettings, babble
from asr_hf.data.augment.band import BandSettings, limit_band
from asr_hf.data.augment.chain import Effects, EffectSettings, augment, draw
from asr_hf.data.augment.codec import CodecSettings, through_codec
from asr_hf.data.augment.draws import Ring
from asr_hf.data.augment.level import LevelSettings, set_level
from asr_hf.data.augment.mixing import at_snr, power
from asr_hf.data.augment.noise import Noise, NoiseSettings, noise
from asr_hf.data.augment.speed import SpeedSettings, change_speed
from asr_hf.data.augment.table import Copy, read_copies, write_copies
from asr_hf.runtime.errors import InputError

RATE = 8000
NOTHING = Effects(speed=1.0, babble=None, noise=None, band=None, gain_db=0.0, codec=None)
SETTINGS = EffectSettings(
    SpeedSettings((0.9, 1.0, 1.1)),
    BabbleSettings(0.5, (5.0, 20.0), (3, 6)),
    NoiseSettings(0.5, (0.0, 20.0), ("white", "pink", "brown")),
    BandSettings(0.5, (200, 400), (2800, 3600)),
    LevelSettings((-20.0, 0.0)),
    CodecSettings({"mulaw": 0.3, "gsm": 0.3}),
)
NAMES = [f"u{number:03d}" for number in range(200)]


def tone(hertz: float, seconds: float = 1.0, amplitude: float = 8000.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


def loudest(samples: np.ndarray) -> float:
    """Hz of the strongest component."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


# --- speed


@pytest.mark.parametrize("factor", [0.9, 1.1, 0.95, 2.0])
def test_speed_moves_pitch_and_time_together(factor):
    samples = tone(500)
    changed = change_speed(samples, factor)
    assert len(changed) == np.ceil(round(len(samples) / factor, 6))
    assert loudest(changed) == pytest.approx(500 * factor, abs=2)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_what_was_at_a_time_is_at_that_time_over_the_speed(factor):
    """Carried alignments rest on this: no delay."""
    samples = np.zeros(8000)
    samples[5000] = 1.0
    at = int(np.argmax(change_speed(samples, factor)))
    assert at == pytest.approx(5000 / factor, abs=1)


def test_speed_one_changes_nothing():
    samples = tone(300)
    np.testing.assert_array_equal(change_speed(samples, 1.0), samples)


# --- backgrounds


@given(snr_db=st.floats(-10, 40), seed=st.integers(0, 99), loudness=st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_a_background_lands_at_the_ratio_asked_for(snr_db, seed, loudness):
    speech = tone(440)
    background = loudness * np.random.default_rng(seed).normal(size=len(speech))
    added = at_snr(background, speech, snr_db)
    assert decibels(power(speech) / power(added)) == pytest.approx(snr_db, abs=1e-6)
    assert np.corrcoef(added, background)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
@pytest.mark.parametrize("snr_db", [0.0, 7.5, 20.0])
def test_noise_in_the_finished_recording_is_at_its_ratio(speech, colour, snr_db):
    """As anyone would measure it: the recording, less the clean one, in 16 bits."""
    spoken = speech(2.0) / 4
    made = augment(spoken, replace(NOTHING, noise=Noise(colour, 5, snr_db)), RATE, {}.get)
    assert np.abs(made).max() < 32767, "else the level was lowered and the difference means nothing"
    left = made.astype(float) - spoken
    assert decibels(power(spoken) / power(left)) == pytest.approx(snr_db, abs=0.1)


def test_babble_in_the_finished_recording_is_at_its_ratio(speech):
    spoken = speech(2.0) / 4
    others = {f"o{i}": speech(0.7 + i, i + 1).astype(float) for i in range(3)}
    drawn = replace(NOTHING, babble=Babble(tuple(others), (0.0, 10.0, 59.0), 6.0))
    left = augment(spoken, drawn, RATE, others.__getitem__).astype(float) - spoken
    assert decibels(power(spoken) / power(left)) == pytest.approx(6.0, abs=0.1)


def test_both_backgrounds_are_measured_against_the_speech_alone(speech):
    spoken, other = speech(2.0) / 8, speech(2.0, 3).astype(float)
    both = replace(NOTHING, babble=Babble(("o",), (0.3,), 3.0), noise=Noise("white", 1, 3.0))
    left = augment(spoken, both, RATE, lambda _: other).astype(float) - spoken
    # Two unrelated backgrounds of one power make twice the power.
    assert decibels(power(spoken) / power(left)) == pytest.approx(3.0 - 3.01, abs=0.3)


def test_talkers_are_equally_loud_go_round_and_begin_where_drawn():
    loud, soft = tone(500, 0.5, 10000), tone(1000, 0.5, 100)
    spectrum = np.abs(np.fft.rfft(babble([loud, soft], [0.0, 0.0], 4 * len(loud), RATE)))
    assert spectrum[1000] == pytest.approx(spectrum[2000], rel=1e-3)
    ramp = np.arange(1.0, 81.0)
    heard = babble([ramp], [0.05 + 3 * 0.01], 100, RATE)
    at = (0.08 * RATE + np.arange(100)) % 80
    np.testing.assert_allclose(heard * np.sqrt(power(ramp)), 1 + at)


@pytest.mark.parametrize(("colour", "slope"), [("white", 0), ("pink", -3.01), ("brown", -6.02)])
def test_the_spectrum_of_noise_falls_by_so_many_decibels_an_octave(colour, slope):
    spectrum = np.abs(np.fft.rfft(noise(Noise(colour, 3, 0.0), 1 << 17, RATE))) ** 2
    hertz = np.fft.rfftfreq(1 << 17, 1 / RATE)
    octaves = [spectrum[(hertz >= low) & (hertz < 2 * low)].mean() for low in (250, 500, 1000)]
    steps = np.diff([decibels(p) for p in octaves])
    np.testing.assert_allclose(steps, slope, atol=0.4)


@pytest.mark.parametrize("silent", ["speech", "background"])
def test_a_ratio_to_digital_silence_is_refused(silent):
    sounds = {"speech": tone(100), "background": tone(200)} | {silent: np.zeros(8000)}
    with pytest.raises(InputError, match=f"the {silent} is digital silence"):
        at_snr(sounds["background"], sounds["speech"], 10.0)


# --- the channel


@pytest.mark.parametrize(
    ("hertz", "kept"), [(100, False), (150, False), (500, True), (2000, True), (3800, False)]
)
def test_a_band_keeps_its_frequencies_and_no_others(hertz, kept):
    samples = tone(hertz)
    loss = decibels(power(limit_band(samples, (300, 3000), RATE)[800:-800]) / power(samples))
    assert loss > -0.5 if kept else loss < -15


def test_a_band_does_not_delay():
    click = np.zeros(2000)
    click[1000] = 1.0
    assert int(np.argmax(limit_band(click, (300, 3400), RATE))) == 1000


def test_level_is_a_gain_that_never_clips():
    samples = tone(700, amplitude=20000.0)
    softer = set_level(samples, -6.0)
    assert decibels(power(softer.astype(float)) / power(samples)) == pytest.approx(-6, abs=0.01)
    loud = set_level(samples, 20.0)
    assert 32760 <= np.abs(loud.astype(int)).max() <= 32767
    assert np.corrcoef(loud, samples)[0, 1] == pytest.approx(1, abs=1e-6)
    assert not set_level(np.zeros(10), 20.0).any()


def mulaw_reference(samples: np.ndarray) -> np.ndarray:
    """ITU-T G.711 by its table of segments, on 14-bit magnitudes, as the CCITT code has it."""
    magnitude = np.minimum(np.abs(samples.astype(int)) >> 2, 8158) + 33
    segment = np.floor(np.log2(magnitude)).astype(int) - 5
    step = (magnitude >> (segment + 1)) & 0xF
    decoded = ((2 * step + 33) << segment) - 33
    return np.sign(samples) * (decoded << 2)


def test_mu_law_is_that_of_the_standard():
    samples = np.arange(-32767, 32768, 7, dtype=np.int16)
    np.testing.assert_array_equal(through_codec(samples, "mulaw", RATE), mulaw_reference(samples))


def test_mu_law_of_mu_law_changes_nothing(speech):
    once = through_codec(speech(1.0).astype(np.int16), "mulaw", RATE)
    np.testing.assert_array_equal(through_codec(once, "mulaw", RATE), once)


@pytest.mark.parametrize("length", [1, 159, 160, 161, 8000, 8123])
@pytest.mark.parametrize("codec", ["mulaw", "gsm"])
def test_a_codec_keeps_the_length(speech, codec, length):
    samples = speech(2.0)[:length].astype(np.int16)
    decoded = through_codec(samples, codec, RATE)
    assert decoded.dtype == np.int16 and len(decoded) == length


@pytest.mark.parametrize(("codec", "least", "most"), [("mulaw", 30, 45), ("gsm", 5, 25)])
def test_a_codec_distorts_as_much_as_it_should_and_does_not_delay(speech, codec, least, most):
    samples = speech(2.0).astype(np.int16)
    decoded = through_codec(samples, codec, RATE).astype(float)
    error = decoded - samples
    assert least < decibels(power(samples.astype(float)) / power(error)) < most
    shifts = range(-40, 41)
    match = [np.dot(np.roll(decoded, -s), samples.astype(float)) for s in shifts]
    assert shifts[int(np.argmax(match))] == 0


# --- draws


def test_what_is_drawn_is_fixed_by_seed_utterance_and_copy():
    ring = Ring(NAMES)
    first = draw(SETTINGS, 0, "u007", 1, ring)
    # Neither what was drawn before nor the order of the set counts.
    for name in NAMES[:20]:
        draw(SETTINGS, 0, name, 1, ring)
    assert draw(SETTINGS, 0, "u007", 1, Ring(reversed(NAMES))) == first
    others = [(1, "u007", 1), (0, "u008", 1), (0, "u007", 2)]
    assert all(draw(SETTINGS, *other, ring) != first for other in others)


def test_another_setting_of_one_effect_leaves_the_others_as_they_are():
    ring = Ring(NAMES)
    changed = replace(SETTINGS, babble=replace(SETTINGS.babble, probability=1.0))
    for name in NAMES[:30]:
        before, after = draw(SETTINGS, 0, name, 1, ring), draw(changed, 0, name, 1, ring)
        assert replace(before, babble=None) == replace(after, babble=None)
        assert before.babble in (None, after.babble)


def test_effects_come_as_often_as_configured_and_within_their_ranges():
    ring = Ring(NAMES)
    drawn = [draw(SETTINGS, 0, name, copy, ring) for name in NAMES for copy in range(1, 11)]
    share = {
        "babble": np.mean([one.babble is not None for one in drawn]),
        "noise": np.mean([one.noise is not None for one in drawn]),
        "band": np.mean([one.band is not None for one in drawn]),
        "mulaw": np.mean([one.codec == "mulaw" for one in drawn]),
        "gsm": np.mean([one.codec == "gsm" for one in drawn]),
        "slow": np.mean([one.speed == 0.9 for one in drawn]),
    }
    # 2000 draws: four standard deviations are 0.045.
    wanted = {"babble": 0.5, "noise": 0.5, "band": 0.5, "mulaw": 0.3, "gsm": 0.3, "slow": 1 / 3}
    assert share == pytest.approx(wanted, abs=0.045)
    both = np.mean([one.babble is not None and one.noise is not None for one in drawn])
    assert both == pytest.approx(0.25, abs=0.045), "effects are drawn independently"
    for one in drawn:
        assert -20 <= one.gain_db <= 0
        if one.babble:
            assert 5 <= one.babble.snr_db <= 20 and 3 <= len(one.babble.talkers) <= 6
        if one.noise:
            assert 0 <= one.noise.snr_db <= 20
        if one.band:
            assert 200 <= one.band[0] <= 400 and 2800 <= one.band[1] <= 3600


@given(st.sets(st.text(min_size=1, max_size=4), max_size=12), st.integers(0, 20), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_ring_gives_different_names_of_its_own_but_never_the_one_left_out(names, count, seed):
    without = min(names, default="")
    found = Ring(names).draw(np.random.default_rng(seed), count, without)
    assert len(set(found)) == len(found) == min(count, len(names - {without}))
    assert set(found) <= names - {without}


def test_one_utterance_less_changes_only_the_babble_it_was_part_of():
    settings_ = replace(SETTINGS, babble=BabbleSettings(1.0, (5.0, 20.0), (3, 6)))
    whole, less = Ring(NAMES), Ring(NAMES[1:])
    for name in NAMES[1:60]:
        before = draw(settings_, 0, name, 1, whole)
        if NAMES[0] not in before.babble.talkers:
            assert draw(settings_, 0, name, 1, less) == before


def test_an_utterance_alone_in_its_set_cannot_have_babble():
    certain = replace(SETTINGS, babble=BabbleSettings(1.0, (5.0, 20.0), (3, 6)))
    with pytest.raises(InputError, match="u000: no other utterance"):
        draw(certain, 0, "u000", 1, Ring(["u000"]))


# --- settings and table

GIVEN = {
    "speed": {"factors": [0.9, 1.0, 1.1]},
    "babble": {"probability": 0.5, "snr_db": [5.0, 20.0], "talkers": [3, 6]},
    "noise": {"probability": 0.5, "snr_db": [0.0, 20.0], "colours": ["white", "pink", "brown"]},
    "band": {"probability": 0.5, "low_hz": [200, 400], "high_hz": [2800, 3600]},
    "level": {"gain_db": [-20.0, 0.0]},
    "codec": {"probabilities": {"mulaw": 0.3, "gsm": 0.3}},
}


def test_settings_are_read():
    assert EffectSettings.from_config(GIVEN) == SETTINGS


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("speed", {"factors": []}, r"speed.factors=\[\] cannot be"),
        ("speed", {"factors": [0.1]}, "from 0.5 to 2"),
        ("babble", {"probability": 1.5}, "babble.probability=1.5 is no probability"),
        ("babble", {"snr_db": [20, 5]}, r"babble.snr_db=\[20, 5\].*(.|\n)*the lower one first"),
        ("babble", {"talkers": [0, 3]}, "babble.talkers"),
        ("noise", {"colours": ["mauve"]}, r"noise.colours=\['mauve'\](.|\n)*white, pink, brown"),
        ("noise", {"snr_db": [5]}, "two numbers"),
        ("band", {"low_hz": [200, 3000]}, "band.low_hz"),
        ("level", {"gain_db": [0, 90]}, "level.gain_db"),
        ("codec", {"probabilities": {"mp3": 1}}, "there is no codec 'mp3'"),
        ("codec", {"probabilities": {"gsm": 0.6, "mulaw": 0.6}}, "their sum"),
        ("band", {"probabilty": 0.5}, r"band: (.|\n)*expected: *probability, low_hz, high_hz"),
    ],
)
def test_settings_that_cannot_be_are_named(part, change, message):
    with pytest.raises(InputError, match=message):
        EffectSettings.from_config(GIVEN | {part: GIVEN[part] | change})


def test_an_unknown_or_missing_effect_is_named():
    with pytest.raises(InputError, match=r"reverb(.|\n)*speed, babble, noise, band, level, codec"):
        EffectSettings.from_config(GIVEN | {"reverb": {}})
    with pytest.raises(InputError, match="speed, babble"):
        EffectSettings.from_config({k: v for k, v in GIVEN.items() if k != "level"})


def test_a_band_beyond_half_the_sample_rate_is_refused():
    BandSettings(1.0, (200, 300), (3000, 3999)).check(8000)
    with pytest.raises(InputError, match="below 4000 Hz"):
        BandSettings(1.0, (200, 300), (3000, 4000)).check(8000)


def test_the_table_holds_all_that_was_drawn(tmp_path):
    ring = Ring(NAMES)
    copies = [Copy(f"x1-{n}", n, 1, draw(SETTINGS, 0, n, 1, ring)) for n in NAMES]
    write_copies(tmp_path, copies)
    assert list(read_copies(tmp_path).values()) == copies
    assert read_copies(tmp_path / "none") == {}


def test_a_damaged_line_of_the_table_is_named(tmp_path):
    write_copies(tmp_path, [Copy("x1-a", "a", 1, NOTHING), Copy("x1-b", "b", 1, NOTHING)])
    path = tmp_path / "augmentation.jsonl"
    path.write_text(path.read_text().replace('"speed": 1.0', '"speed": ', 1))
    with pytest.raises(InputError, match=r"augmentation\.jsonl:1: damaged"):
        read_copies(tmp_path)
