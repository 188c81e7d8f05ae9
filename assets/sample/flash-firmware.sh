#!/bin/sh
# Flash the motor controller of a Larkspur Cargo E. Needs the blue service cable.
set -eu
port="${1:?give the serial port, for example /dev/ttyUSB0}"
echo "Unplug the battery, hold the power button for ten seconds, then press Enter."
read -r _
larkspur-flash --port "$port" --image cargo-e-3.2.bin --verify
