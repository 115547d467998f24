package dev.precis.training;

import dev.precis.ffi.Context;
import dev.precis.layers.Parameters;
import dev.precis.ops.Ops;
import java.nio.file.Path;

/** A model that a {@link TrainingLoop} can train: what changes, and where it is written. */
public interface Trainable {
  Context context();

  Ops ops();

  /** What is trained. */
  Parameters parameters();

  /** Bytes of what is packed. */
  long weightBytes();

  /** Brings what is packed up to date after the parameters changed. */
  void update();

  /** How the folder of the result is called. */
  String resultName();

  /** Writes what was trained, as a folder that other programs read. */
  void write(Path folder);

  /** The file of {@link #write}'s folder that has the parameters. */
  String weightsFile();

  /** The tensor of that file which is a parameter. */
  String tensorName(String parameter);
}
