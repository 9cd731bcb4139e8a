# shellcheck shell=bash
# What the lab and the tests need of a Debian or Ubuntu machine. To be sourced, with bash's errexit on.

PREREQUISITES_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$PREREQUISITES_ROOT/.venv

LAB_PACKAGES=(
    conmon debian-archive-keyring iproute2 kmod mmdebstrap netcat-openbsd openssh-client openssl podman procps python3
    python3-venv runc util-linux
)
TEST_PACKAGES=(git graphviz iptables iputils-ping nftables openssl patchelf shellcheck strace)

require_root() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "error: $1 needs root: it makes network namespaces and containers. Try: sudo $1" >&2
        exit 1
    fi
}

# Older releases have neither a podman that can do this nor the keys of the nodes' Debian.
require_release() {
    local least
    # shellcheck source=/dev/null
    source /etc/os-release
    case "$ID" in
        debian) least=12 ;;
        ubuntu) least=24.04 ;;
        *) return 0 ;;
    esac
    # Testing and unstable have no VERSION_ID.
    if dpkg --compare-versions "${VERSION_ID:-999}" lt "$least"; then
        echo "error: this needs $ID $least or newer, and here is $ID $VERSION_ID" >&2
        exit 1
    fi
}

# Debian packages that are not installed yet; apt is not asked when there are none.
install_packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query --show --showformat='${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "installing from apt: ${missing[*]}"
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" > /dev/null
}

# The virtual environment .venv with what the requirements files ask for, ahead of everything else on PATH.
install_python_packages() {
    local file stamp=$VENV/installed wanted
    wanted=$(cat "$@")
    if [ ! -x "$VENV/bin/python" ]; then
        echo "making the virtual environment $VENV"
        python3 -m venv "$VENV"
    fi
    if ! grep -qsxF -- "$(sha256sum <<< "$wanted")" "$stamp"; then
        echo "installing from PyPI: $(tr '\n' ' ' <<< "$wanted")"
        local options=()
        for file in "$@"; do options+=(--requirement "$file"); done
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "${options[@]}"
        sha256sum <<< "$wanted" >> "$stamp"
    fi
    PATH=$VENV/bin:$PATH
}

# The checkout as ansible_collections/humanz/cni, which is where Ansible finds it by name.
make_collection_path() {
    local collections=$PREREQUISITES_ROOT/.cache/collections
    mkdir -p "$collections/ansible_collections/humanz"
    ln -sfn "$PREREQUISITES_ROOT" "$collections/ansible_collections/humanz/cni"
    export ANSIBLE_COLLECTIONS_PATH=$collections
}

install_lab_prerequisites() {
    require_release
    install_packages "${LAB_PACKAGES[@]}"
    install_python_packages "$PREREQUISITES_ROOT/lab/requirements.txt"
    make_collection_path
}

install_test_prerequisites() {
    require_release
    install_packages "${LAB_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    install_python_packages "$PREREQUISITES_ROOT/tests/requirements.txt"
    make_collection_path
}
