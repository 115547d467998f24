package dev.precis;

import dev.precis.tensor.DType;
import java.nio.file.Path;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** An event of the flight recorder: a model was loaded. */
@Name("dev.precis.Load")
@Label("Model Load")
@Description("A model's weights, tokenizer and adapters were made ready")
@Category("Précis")
@StackTrace(false)
final class LoadEvent extends Event {
  @Label("Model")
  @Description("model or classifier")
  String model;

  @Label("Folder")
  String folder;

  @Label("Weights")
  @Description("Their type")
  String dtype;

  @Label("Instruction Set")
  String isa;

  @Label("Threads")
  int threads;

  /** Returns an event that has begun. */
  static LoadEvent start(String model, Path folder) {
    LoadEvent event = new LoadEvent();
    event.model = model;
    event.folder = folder.toString();
    event.begin();
    return event;
  }

  /** Ends and records the event, if anybody listens. */
  void end(Engine engine, DType dtype) {
    if (shouldCommit()) {
      this.dtype = dtype.toString();
      isa = engine.device().info().isa();
      threads = engine.device().info().threads();
      commit();
    }
  }
}
