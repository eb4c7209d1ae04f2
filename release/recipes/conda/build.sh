#!/bin/sh
set -eu
mkdir -p "$PREFIX/bin" "$PREFIX/share/man/man1" "$PREFIX/share/bash-completion/completions" \
  "$PREFIX/share/zsh/site-functions" "$PREFIX/share/fish/vendor_completions.d"
install -m 755 agent "$PREFIX/bin/agent"
install -m 644 man/man1/*.1 "$PREFIX/share/man/man1/"
install -m 644 completions/agent.bash "$PREFIX/share/bash-completion/completions/agent"
install -m 644 completions/_agent "$PREFIX/share/zsh/site-functions/_agent"
install -m 644 completions/agent.fish "$PREFIX/share/fish/vendor_completions.d/agent.fish"
