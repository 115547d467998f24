package dev.precis.cli.chart;

/** A mark on an axis. */
record Tick(double value, String label) {}
