package dev.precis.lora;

import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import java.nio.file.Path;
import java.util.List;

/** Parameters that are trained beside a frozen model, and their way into a PEFT folder. */
public interface TrainedAdapter {
  /** Returns the trainable parameters. */
  Parameters parameters();

  /** Returns the name that a parameter has in PEFT's file. */
  String tensorName(String parameter);

  /** Returns the dropout rate of an adapter's input while it is trained. */
  float dropout();

  /**
   * Writes a PEFT folder, which PEFT and {@link dev.precis.checkpoint.PeftAdapter} read. Each file
   * appears when it is complete.
   *
   * @param baseModel what the configuration calls the model underneath
   * @param others further parameters in the same file under their own names: a value head's
   */
  void write(Path folder, String baseModel, List<Parameter> others);
}
