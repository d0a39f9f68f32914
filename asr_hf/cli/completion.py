"""Print a completion script for bash, zsh or fish.

commonest use: eval "$(asr-hf completion bash)"
usual time:    half a second

usage: asr-hf completion bash|zsh|fish

bash:  eval "$(asr-hf completion bash)"
zsh:   eval "$(asr-hf completion zsh)"
fish:  asr-hf completion fish | source
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.groups import groups, plus
from asr_hf.cli.suggest import keys
from asr_hf.cli.verbs import VERBS
from asr_hf.runtime.errors import InputError

_BASH = """\
_asr_hf() {{
  local word="${{COMP_LINE:0:COMP_POINT}}"; word="${{word##* }}"
  local words="{words}"
  [ "$COMP_CWORD" -eq 1 ] && words="{verbs}"
  COMPREPLY=( $(compgen -W "$words" -- "$word") )
  [[ "$word" == *=* ]] && COMPREPLY=( "${{COMPREPLY[@]#*=}}" )
}}
complete -o nospace -F _asr_hf asr-hf
"""


def run(arguments: list[str]) -> None:
    """Print the completion script for the shell in the arguments.

    Raises:
        InputError: there is no script for that shell, or none is named.
    """
    shell = arguments[0] if arguments else ""
    words = []
    for group, options in groups().items():
        words += [f"{plus(group)}{group}={option}" for option in options]
    words += [f"{key}=" for key in keys(load_config(["+recipe=prompts"])) if "_target_" not in key]
    bash = _BASH.format(words=" ".join(words), verbs=" ".join(VERBS))
    if shell == "bash":
        print(bash)
    elif shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit\n" + bash)
    elif shell == "fish":
        for verb, what in VERBS.items():
            print(f"complete -c asr-hf -f -n __fish_use_subcommand -a {verb} -d '{what}'")
        print(f"complete -c asr-hf -f -n 'not __fish_use_subcommand' -a '{' '.join(words)}'")
    else:
        raise InputError(f"completion: unknown shell {shell!r}", expected="bash, zsh or fish")
