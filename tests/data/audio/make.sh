#!/bin/sh
# Makes the audio files of this folder and counts.tsv: samples of each channel by ffmpeg and by sox.
# Needs ffmpeg 5.1, sox 14.4.2, lame 3.100, opus-tools 0.1.10 and vorbis-tools 1.4.2 (Debian 12).
set -e
cd "$(dirname "$0")"
ls | grep -v -e make.sh -e README.md | xargs rm -f
work=$(mktemp -d)
export SOURCE_DATE_EPOCH=0
# Something like speech: a gliding, shaking tone with a roll-off; 0.9 s.
sox -R -q -n -r 48000 -b 16 "$work/a.wav" synth 0.9 sawtooth 120:190 gain -10 tremolo 4 80 \
    lowpass 3000
at() { sox -R -q "$work/a.wav" -r "$1" "$work/a$1.wav"; }
for rate in 8000 11025 16000 22050 24000; do at $rate; done
# A loud, rich beginning and a plain rest, which makes the size of the first frames mislead.
sox -R -q -n -r 16000 -b 16 "$work/loud.wav" synth 0.3 whitenoise gain -1
sox -R -q -n -r 16000 -b 16 "$work/soft.wav" synth 2.5 sine 300 gain -30
sox -R -q "$work/loud.wav" "$work/soft.wav" "$work/loudsoft.wav"
sox -R -q "$work/soft.wav" "$work/loud.wav" "$work/softloud.wav"
ff() { ffmpeg -v error -y -bitexact "$@"; }
lame --quiet -t -b 16 "$work/a11025.wav" noxing-11025.mp3
lame --quiet -t -V 5 "$work/loudsoft.wav" noxing-loudfirst.mp3
lame --quiet -t -V 5 "$work/softloud.wav" noxing-softfirst.mp3
lame --quiet -V 5 "$work/a16000.wav" lame-16000.mp3
lame --quiet -V 5 "$work/a22050.wav" lame-22050.mp3
sox -R -q "$work/a24000.wav" -c 2 "$work/stereo.wav"
lame --quiet -t -m j --resample 24 -b 48 "$work/stereo.wav" noxing-stereo-24000.mp3
ff -i "$work/a16000.wav" -b:a 32k -write_xing 1 lavc-16000.mp3
ff -i "$work/a16000.wav" -b:a 32k -c:a mp2 layer2.mp2
ff -i "$work/a8000.wav" -c:a libmp3lame -b:a 8k -f wav mp3.wav
sox -R -q "$work/a8000.wav" -e gsm-full-rate gsm.wav
sox -R -q "$work/a8000.wav" -e ima-adpcm ima.wav
sox -R -q "$work/a8000.wav" -e ms-adpcm ms.wav
cut8="$work/cut.wav"
sox -R -q "$work/a8000.wav" "$cut8" trim 0 0.4
sox -R -q "$cut8" -e a-law alaw.wav
sox -R -q "$cut8" -e mu-law mulaw.wav
sox -R -q "$cut8" -e unsigned -b 8 unsigned8.wav
# Written into a pipe, where no length can be put in afterwards.
for form in wav au caf flac ogg; do ff -i "$cut8" -f $form - | cat > "pipe.$form"; done
for form in wav aiff au sph; do sox -R -q "$cut8" -t $form - | cat > "soxpipe.$form"; done
ff -i "$cut8" -f flac pipe-rewound.flac
oggenc -Q -s 1 "$work/a16000.wav" -o vorbis.ogg
opusenc --quiet --serial 1 --bitrate 16 "$work/a16000.wav" opus.opus
# Formats that are not read.
ff -i "$work/a16000.wav" -b:a 16k refused.m4a
ff -i "$work/a16000.wav" -b:a 16k refused.aac
ff -i "$work/a16000.wav" -b:a 16k refused.webm
ff -i "$work/a16000.wav" -b:a 24k refused.wma
ff -i "$work/a8000.wav" -c:a libspeex refused.ogg
ff -i "$work/a8000.wav" -c:a g723_1 -f wav refused-g723.wav
rm -r "$work"
printf 'file\trate\tchannels\tffmpeg\tsox\n' > counts.tsv
for file in $(ls | grep -v -e make.sh -e README.md -e counts.tsv -e refused); do
    told() { ffprobe -v quiet -show_entries "stream=$1" -of default=nk=1:nw=1 "$file" | head -n 1; }
    rate=$(told sample_rate) channels=$(told channels)
    bytes=$(ffmpeg -v quiet -i "$file" -f s16le - | wc -c)
    by_sox=$(sox "$file" -t s16 - 2> /dev/null | wc -c)
    printf '%s\t%s\t%s\t%s\t%s\n' "$file" "$rate" "$channels" \
        $((bytes / 2 / channels)) $((by_sox / 2 / channels)) >> counts.tsv
done
