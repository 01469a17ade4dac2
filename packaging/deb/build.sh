#!/bin/sh
# Makes a Debian package of one executable and its systemd unit.
#
#   packaging/deb/build.sh EXECUTABLE VERSION ARCHITECTURE FOLDER [UNIT]
#
# ARCHITECTURE is dpkg's word (amd64, arm64). UNIT is the file of the unit; without it the executable prints its own.
# MAINTAINER is who answers for it. The same input gives the same bytes: set SOURCE_DATE_EPOCH.
set -eu
umask 022

[ $# -ge 4 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
executable=$1 version=$2 architecture=$3 folder=$4 unit=${5:-}
here=$(cd "$(dirname "$0")" && pwd)
project=$here/../..
maintainer=${MAINTAINER:-Ganglion <ganglion@localhost>}
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(date +%s)}"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
about=$tree/usr/share/doc/ganglion
install -d "$tree/DEBIAN" "$tree/etc/ganglion" "$tree/usr/lib/systemd/system" "$about" "$tree/usr/share/man/man1" \
    "$tree/usr/share/lintian/overrides"
install -D -m 755 "$executable" "$tree/usr/bin/ganglion"
install -m 644 "$project/config.example.toml" "$tree/etc/ganglion/config.toml"
install -m 644 "$here/lintian-overrides" "$tree/usr/share/lintian/overrides/ganglion"

if [ -n "$unit" ]; then cat "$unit"; else "$executable" install --print --program /usr/bin/ganglion; fi >"$tree/unit"
{
    echo "# Of the package ganglion. Settings of your own go into a drop-in: systemctl edit ganglion"
    sed -e '/^# Written by `ganglion install`/d' -e 's/^\[Unit\]$/&\nDocumentation=man:ganglion(1)/' "$tree/unit"
} >"$tree/usr/lib/systemd/system/ganglion.service"
rm "$tree/unit"

# The licence as a paragraph of the copyright file, where an empty line is a dot.
sed -e '1,2d' -e 's/^$/./' -e 's/^/ /' "$project/LICENSE-MIT" >"$tree/mit"
sed -e "/^@MIT@$/{r $tree/mit" -e 'd}' "$here/copyright" >"$about/copyright"
rm "$tree/mit"
printf 'ganglion (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- %s  %s\n' "$version" "$maintainer" \
    "$(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" --rfc-email)" | gzip -9n >"$about/changelog.gz"
gzip -9n <"$project/CHANGELOG.md" >"$about/CHANGELOG.md.gz"
sed "s/@VERSION@/$version/" "$here/ganglion.1" | gzip -9n >"$tree/usr/share/man/man1/ganglion.1.gz"

glibc=$("$executable" --version 2>/dev/null | sed -n 's/^.*glibc \([0-9.]*\) or newer.*$/ (>= \1)/p') || glibc=
size=$(du -sk --apparent-size "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
    -e "s/@MAINTAINER@/$maintainer/" -e "s/@GLIBC@/$glibc/" "$here/control" >"$tree/DEBIAN/control"
echo /etc/ganglion/config.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "$here/$script" "$tree/DEBIAN/$script"; done
(cd "$tree" && find etc usr -type f -not -path 'etc/*' -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$folder"
# The executable is compressed already: the first level finds what the others would.
dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "$folder/ganglion_${version}_${architecture}.deb" >&2
echo "$folder/ganglion_${version}_${architecture}.deb"
