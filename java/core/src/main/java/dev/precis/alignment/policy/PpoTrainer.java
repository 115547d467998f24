package dev.precis.alignment.policy;

import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.Score;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.MemoryPlan;
import dev.precis.training.DivergedException;
import dev.precis.training.RunFolder;
import dev.precis.training.RunState;
import dev.precis.training.StepLog;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.DoubleStream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Aligns a policy to a reward, step by step, into a {@link RunFolder}: {@code metrics.jsonl} by
 * TRL's names, {@code rollouts.jsonl} with every response and its score, {@code preflight.json}.
 *
 * <p>What a step does is a function of the options, the step's number and what the last checkpoint
 * holds: a run that was killed at any moment and resumed ends with the same bits as one left alone.
 *
 * <p>Not for several threads; {@link #stop} may come from any.
 */
public final class PpoTrainer implements AutoCloseable {
  /** Hears how a run goes. */
  public interface Listener {
    /** The checks before the first update were made, and hold. */
    default void onPreflight(Preflight preflight) {}

    /** A step is done. */
    default void onStep(Step step) {}

    /** A checkpoint is on the disk. */
    default void onCheckpoint(long step) {}

    /** The run went back to a checkpoint. */
    default void onRollback(long toStep, String reason) {}
  }

  /**
   * How one step went.
   *
   * @param step from 1
   * @param statistics by TRL's names
   */
  public record Step(long step, long totalSteps, double seconds, Map<String, Double> statistics) {}

  /** Why a run ended. */
  public enum End {
    DONE,
    INTERRUPTED
  }

  /** How a run ended. */
  public record Result(End end, long steps, int rollbacks) {}

  private static final long EPOCH = 0x65706f6368L;

  private final Ppo ppo;
  private final PpoOptions options;
  private final List<Prompt> prompts;
  private final Reward reward;
  private final RunFolder run;
  private final RunState state;
  private final boolean sameAsReference;
  private Watchdog watchdog;
  private StepLog rollouts;
  private volatile boolean stopped;
  private long done;
  private int rollbacks;
  private long epoch = -1;
  private int[] order;

  /**
   * A run that has not started, or goes on where its newest checkpoint is.
   *
   * @param ppo closed by its owner, as reward and run are
   * @param prompts what responses are sampled for, in an order of its own each time through
   * @param sameAsReference whether the policy starts as its reference: the run refuses to start
   *     where it does not
   */
  public PpoTrainer(
      Ppo ppo, List<Prompt> prompts, Reward reward, RunFolder run, boolean sameAsReference) {
    if (prompts.isEmpty()) {
      throw new InvalidInputException("There is no prompt to respond to.");
    }
    this.ppo = ppo;
    this.options = ppo.options();
    this.prompts = List.copyOf(prompts);
    this.reward = reward;
    this.run = run;
    this.sameAsReference = sameAsReference;
    List<Parameter> head = ppo.head() == null ? List.of() : ppo.head().parameters().all();
    state = new RunState(run, ppo.policy(), head, ppo.optimizers());
    watchdog = new Watchdog(options);
  }

  /** What the run needs, beside the reward: see {@link Ppo#plan}. */
  public MemoryPlan plan() {
    return ppo.plan(prompts);
  }

  /** Steps of the whole run. */
  public long totalSteps() {
    return options.schedule().maxSteps();
  }

  /** Steps that are done. */
  public long done() {
    return done;
  }

  /** Ends the run after the step at hand, with a checkpoint. */
  public void stop() {
    stopped = true;
  }

  /** Goes on from the newest checkpoint; without one, from the start. */
  public void resume() {
    state.resume().ifPresent(this::continueFrom);
  }

  /**
   * Aligns to the end, or until {@link #stop}.
   *
   * @throws InvalidInputException where a preflight check fails
   * @throws DivergedException where the watchdog ends the run; its last checkpoint is whole
   */
  public Result train(Listener listener) {
    if (run.checkpoints().isEmpty()) {
      Preflight preflight = preflight();
      ObjectNode json = Json.mapper().createObjectNode();
      json.set("checks", preflight.toJson());
      run.write("preflight.json", json.toPrettyString() + "\n");
      preflight.require();
      listener.onPreflight(preflight);
      // Where the watchdog goes back to before the first checkpoint of the run's own.
      write();
    }
    while (done < options.schedule().maxSteps() && !stopped) {
      Optional<String> wrong = Optional.empty();
      long at = done + 1;
      try {
        Step step = step();
        listener.onStep(step);
        wrong = watchdog.check(step.statistics);
      } catch (DivergedException e) {
        wrong = Optional.of(e.getMessage());
      }
      if (wrong.isPresent()) {
        rollBack(at, wrong.get(), listener);
      } else if (done == options.schedule().maxSteps()
          || stopped
          || done % options.schedule().checkpointEvery() == 0) {
        write();
        listener.onCheckpoint(done);
      }
    }
    if (done < options.schedule().maxSteps()) {
      return new Result(End.INTERRUPTED, done, rollbacks);
    }
    state.writeResult();
    return new Result(End.DONE, done, rollbacks);
  }

  /** What the run's result is called in its folder. */
  public String resultName() {
    return ppo.policy().resultName();
  }

  /** Makes the checks that come before the first update; nothing is changed. */
  public Preflight preflight() {
    return Preflight.of(ppo, ppo.rollout(batch(0), 0), reward, sameAsReference);
  }

  private void rollBack(long at, String reason, Listener listener) {
    if (rollbacks == options.watchdog().maxRollbacks()) {
      throw new DivergedException(
          "Stopped at step %,d after %d rollbacks: %s. The last checkpoint is whole."
              .formatted(at, rollbacks, reason));
    }
    int before = rollbacks;
    List<Long> checkpoints = run.checkpoints();
    if (checkpoints.size() > 1 && at <= checkpoints.getLast() + 1) {
      // The first step from this checkpoint is wrong already: so is the checkpoint.
      run.removeCheckpoint(checkpoints.getLast());
    }
    continueFrom(state.load(run.newestCheckpoint().orElseThrow()));
    rollbacks = before + 1;
    restore(ppo.updates());
    // Kept at once, so that a run that is stopped here does not do the same again.
    write();
    run.openMetrics(done);
    openRollouts();
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", done);
    line.put("watchdog", reason);
    line.put("at_step", at);
    run.metric(line);
    listener.onRollback(done, reason);
  }

  /** After a rollback other draws are made, at half the learning rate for each. */
  private void restore(long updates) {
    ppo.restore(updates, rollbacks, (float) Math.pow(0.5, rollbacks));
  }

  private void openRollouts() {
    if (rollouts != null) {
      rollouts.close();
    }
    rollouts = run.log("rollouts.jsonl", done);
  }

  /** The prompts of a step, counted from 0. */
  private List<Prompt> batch(long step) {
    List<Prompt> batch = new ArrayList<>();
    int n = prompts.size();
    for (int i = 0; i < options.batch().prompts(); i++) {
      long at = step * options.batch().prompts() + i;
      if (at / n != epoch) {
        epoch = at / n;
        order = new int[n];
        for (int k = 0; k < n; k++) {
          order[k] = k;
        }
        new SplitMix64(SplitMix64.mix(options.seed(), EPOCH, epoch)).shuffle(order);
      }
      batch.add(prompts.get(order[(int) (at % n)]));
    }
    return batch;
  }

  /**
   * Scores a rollout's responses.
   *
   * @throws InvalidInputException where a score is not a number
   */
  public static List<Score> score(Rollout rollout, Reward reward) {
    List<Completion> completions = new ArrayList<>();
    for (int i = 0; i < rollout.texts().size(); i++) {
      Prompt prompt = rollout.prompts().get(i / rollout.perPrompt());
      completions.add(prompt.completion(rollout.texts().get(i)));
    }
    return reward.checked(completions);
  }

  /**
   * One step: rollout, scores, update.
   *
   * @throws IllegalStateException where the loss or the gradient is not a number any more
   */
  public Step step() {
    long start = System.nanoTime();
    Rollout rollout = ppo.rollout(batch(done), done);
    long rolled = System.nanoTime();
    List<Score> scores = score(rollout, reward);
    double scored = (System.nanoTime() - rolled) / 1e9;
    Map<String, Double> statistics =
        new LinkedHashMap<>(
            ppo.update(rollout, scores.stream().mapToDouble(Score::value).toArray()));
    Map<String, Double> terms = new LinkedHashMap<>();
    for (Score each : scores) {
      each.terms().forEach((name, value) -> terms.merge(name, value / scores.size(), Double::sum));
    }
    terms.forEach((name, value) -> statistics.put("reward/" + name, value));
    statistics.put("time/ppo/reward", scored);
    done++;
    double seconds = (System.nanoTime() - start) / 1e9;
    statistics.put("time/ppo/total", seconds);
    Step step = new Step(done, options.schedule().maxSteps(), seconds, statistics);
    log(step, rollout, scores);
    return step;
  }

  private void log(Step step, Rollout rollout, List<Score> scores) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", step.step);
    step.statistics.forEach(
        (name, value) ->
            line.put(name, name.startsWith("time/") ? Math.round(value * 1e4) / 1e4 : value));
    double[] penalties = rollout.sequencePenalties();
    // TRL's responses begin with the start token.
    int start = options.mode().trainsFirstToken() ? 0 : 1;
    list(line, "objective/kl_dist", Arrays.stream(penalties));
    list(line, "env/reward_dist", scores.stream().mapToDouble(Score::value));
    list(
        line,
        "tokens/queries_dist",
        rollout.prompts().stream().mapToDouble(prompt -> prompt.source().length));
    list(
        line,
        "tokens/responses_dist",
        rollout.samples().stream().mapToDouble(sample -> sample.tokens().length + start));
    run.metric(line);
    if (rollouts == null) {
      rollouts = run.log("rollouts.jsonl", done - 1);
    }
    for (int i = 0; i < scores.size(); i++) {
      ObjectNode each = Json.mapper().createObjectNode();
      each.put("step", step.step);
      each.put("id", rollout.prompts().get(i / rollout.perPrompt()).id());
      each.put("response", rollout.texts().get(i));
      each.put("tokens", rollout.samples().get(i).tokens().length);
      each.put("score", scores.get(i).value());
      each.put("kl", penalties[i]);
      if (scores.get(i).terms().size() > 1) {
        ObjectNode its = each.putObject("terms");
        scores.get(i).terms().forEach(its::put);
      }
      rollouts.add(each);
    }
  }

  private static void list(ObjectNode line, String name, DoubleStream values) {
    ArrayNode list = line.putArray(name);
    values.forEach(list::add);
  }

  private void write() {
    state.save(
        done,
        json -> {
          json.put("updates", ppo.updates());
          json.put("kl_coef", ppo.kl().coefficient());
          json.put("rollbacks", rollbacks);
          ppo.moments().writeTo(json.putObject("score_moments"));
          watchdog.writeTo(json.putObject("watchdog"));
        });
    run.prune(options.schedule().keepCheckpoints(), -1);
  }

  private void continueFrom(JsonObject position) {
    if (ppo.head() != null) {
      ppo.head().update();
    }
    done = (long) position.number("step");
    rollbacks = position.integer("rollbacks", 0, Integer.MAX_VALUE);
    restore((long) position.number("updates"));
    ppo.kl().restore(position.number("kl_coef"));
    ppo.moments().read(position.object("score_moments"));
    watchdog = new Watchdog(options);
    watchdog.read(position.object("watchdog"));
  }

  @Override
  public void close() {
    if (rollouts != null) {
      rollouts.close();
    }
  }
}
