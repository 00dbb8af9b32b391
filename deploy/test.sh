#!/usr/bin/env bash
# Runs every test on real parts, with one control plane for all of them: deploy/test.sh [PATH|OPTION...]
#
# Where two tests at once cannot disturb each other, two run. What counts the calls at the API server, kills processes
# or measures an installation that works has the machine to itself. A skipped test counts as failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=. NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
unset KUBECONFIG
for name in $(compgen -v | grep '^DRIFTLINE_'); do unset "$name"; done # settings of another installation
python=.venv/bin/python
work=$(mktemp -d /tmp/driftline-test-XXXXXX)

end() {
  trap - EXIT INT TERM
  $python -m deploy.localcluster.localcluster down "$work/cluster"
  rm -rf "$work"
}
trap 'end' EXIT
trap 'end; exit 130' INT TERM

$python -m deploy.localcluster.localcluster up "$work/cluster" || exit 1
export DRIFTLINE_TEST_CLUSTER=$work/cluster
pytest=($python -m pytest -p tests.kit.nothing_skipped -q --durations=5 --durations-min=20)

if [ $# -gt 0 ]; then
  "${pytest[@]}" "$@"
  exit
fi

alone=(tests/cluster tests/drift tests/flow tests/story tests/durability)
unit=(tests/unit)
together=()
for folder in tests/*/; do
  folder=${folder%/}
  case " ${alone[*]} ${unit[*]} tests/kit " in *" $folder "*) ;; *)
    compgen -G "$folder/test_*.py" >/dev/null && together+=("$folder") ;;
  esac
done

failed=0
run() { # run NAME OPTIONS...
  local name=$1
  shift
  echo "== $name"
  "${pytest[@]}" "$@" 2>&1 | tee "$work/$name.log" || failed=1
}
run unit -n 2 "${unit[@]}"
run together -n 2 --dist loadfile "${together[@]}"
run alone "${alone[@]}"
$python -m deploy.closing "$work"/{unit,together,alone}.log || failed=1
exit $failed
