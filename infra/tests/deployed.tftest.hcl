# What one apply in an empty project makes, with nothing set but the project.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project = "pitwall-test"
  bundle  = "../functions/main.py"
}

run "deployed" {
  # Functions
  assert {
    condition = toset(keys(module.function)) == toset(flatten(regexall(
      "@functions_framework\\.http\\s+def (\\w+)", file("../functions/main.py")
    )))
    error_message = "What is deployed is not what functions/main.py has entry points for: ${join(" ", keys(module.function))}."
  }

  assert {
    condition = alltrue([
      for name, one in module.function :
      one.function.build_config[0].runtime == "python313" && one.function.build_config[0].entry_point == name
    ])
    error_message = "Every function runs on Python 3.13, at the entry point of its name."
  }

  assert {
    condition = alltrue([
      for one in module.function :
      one.function.build_config[0].source[0].storage_source[0].object == "functions-${filesha256("../functions/main.py")}.zip"
    ])
    error_message = "All functions are built from one zip, whose name carries its hash."
  }

  assert {
    condition = alltrue([
      for name, one in module.function :
      one.function.service_config[0].service_account_email == "pitwall-${name}@pitwall-test.iam.gserviceaccount.com"
    ])
    error_message = "Every function has a service account of its own."
  }

  assert {
    condition = alltrue([
      for one in module.function :
      one.function.build_config[0].service_account == "projects/pitwall-test/serviceAccounts/pitwall-build@pitwall-test.iam.gserviceaccount.com"
    ])
    error_message = "Functions are built by the account for that, not by the project's default one."
  }

  assert {
    condition     = [for name, one in module.function : name if one.function.service_config[0].ingress_settings != "ALLOW_INTERNAL_ONLY"] == ["api"]
    error_message = "Nothing but the API is to be reached from outside the project."
  }

  assert {
    condition     = alltrue([for one in module.function : one.function.service_config[0].min_instance_count == 0])
    error_message = "An idle deployment keeps no instance."
  }

  assert {
    condition     = alltrue([for one in module.function : one.function.service_config[0].max_instance_count <= 10])
    error_message = "Every function has a bound to what it can cost."
  }

  assert {
    condition = alltrue([
      for one in module.function :
      one.function.service_config[0].environment_variables.THREADS == tostring(one.function.service_config[0].max_instance_request_concurrency)
    ])
    error_message = "An instance has as many threads as requests come at a time."
  }

  # Poller
  assert {
    condition     = module.function["poller"].function.service_config[0].max_instance_request_concurrency == 1
    error_message = "An instance of the poller handles one invocation."
  }

  assert {
    condition     = module.function["poller"].function.service_config[0].max_instance_count >= 3
    error_message = "The poller needs three instances: the holder, its standby, and one that comes while another leaves."
  }

  assert {
    condition     = module.function["poller"].function.service_config[0].timeout_seconds == 1800
    error_message = "An invocation of the poller lives up to 1,800 s."
  }

  assert {
    condition     = tonumber(module.function["poller"].function.service_config[0].environment_variables.PITWALL_INVOCATION_S) < 1800
    error_message = "An invocation lets go before Cloud Run ends it."
  }

  # Kart tracks
  assert {
    condition     = module.function["karts"].function.service_config[0].max_instance_request_concurrency == 1 && module.function["karts"].function.service_config[0].max_instance_count >= 3 && module.function["karts"].function.service_config[0].timeout_seconds == 1800
    error_message = "The function of kart tracks is as the poller: a holder, its standby, and one that comes while another leaves."
  }

  # Jobs of history
  assert {
    condition     = tonumber(module.function["jobs"].function.service_config[0].environment_variables.PITWALL_JOB_S) + 30 < module.function["jobs"].function.service_config[0].timeout_seconds
    error_message = "A turn of a job ends, and queues the next one, before Cloud Run ends it."
  }

  assert {
    condition     = module.function["jobs"].function.service_config[0].max_instance_request_concurrency == 1 && module.function["jobs"].function.service_config[0].available_memory == "2Gi"
    error_message = "A job has an instance of its own, with memory for a session's telemetry."
  }

  # Jobs
  assert {
    condition     = { for name, one in module.job : name => one.job.schedule } == { poller-a = "* * * * *", poller-b = "* * * * *", reconciler = "*/15 * * * *", schedule = "17 5 * * *" }
    error_message = "Two jobs start pollers every minute; archive and calendar are looked for every 15 minutes and daily."
  }

  assert {
    condition     = alltrue([for name in ["poller-a", "poller-b"] : module.job[name].job.attempt_deadline == "1800s"])
    error_message = "Cloud Scheduler waits 1,800 s for a poller, the most it does."
  }

  assert {
    condition     = alltrue([for name in ["poller-a", "poller-b"] : module.job[name].job.retry_config[0].retry_count == 0])
    error_message = "A poller that fails is not tried again: the next one comes within a minute."
  }

  assert {
    condition     = alltrue([for one in module.job : one.job.paused == false])
    error_message = "No job is paused."
  }

  assert {
    condition = alltrue([
      for name, one in module.job :
      one.job.http_target[0].uri == module.function[trimsuffix(trimsuffix(name, "-a"), "-b")].url
      && one.job.http_target[0].oidc_token[0].audience == one.job.http_target[0].uri
      && one.job.http_target[0].oidc_token[0].service_account_email == "pitwall-scheduler@pitwall-test.iam.gserviceaccount.com"
    ])
    error_message = "A job calls its function's run.app address, with a token for that address."
  }

  assert {
    condition     = alltrue([for one in module.job : jsondecode(base64decode(one.job.http_target[0].body)) == { feed = "f1" }])
    error_message = "A job names the feed."
  }

  # Messages
  assert {
    condition     = toset(keys(module.pubsub.topics)) == toset(["timing", "events", "raw", "budget", "jobs", "timing-dead", "events-dead", "raw-dead", "budget-dead", "jobs-dead"])
    error_message = "Every topic has one for its dead letters."
  }

  assert {
    condition     = alltrue([for topic in module.pubsub.topics : topic.message_storage_policy[0].allowed_persistence_regions == tolist(["europe-west1"])])
    error_message = "Messages stay in one region: an ordering key's order holds within one."
  }

  assert {
    condition     = { for id, s in module.pubsub.subscriptions : id => s.push_config[0].push_endpoint } == { timing-writer = module.function["writer"].url, raw-recorder = module.function["recorder"].url, budget-economy = module.function["economy"].url, jobs-worker = module.function["jobs"].url }
    error_message = "Subscriptions push to their functions' run.app addresses."
  }

  assert {
    condition     = alltrue([for s in module.pubsub.subscriptions : s.enable_message_ordering])
    error_message = "Messages of a session are delivered in order."
  }

  assert {
    condition = alltrue([
      for s in module.pubsub.subscriptions :
      s.push_config[0].oidc_token[0].audience == s.push_config[0].push_endpoint
      && s.push_config[0].oidc_token[0].service_account_email == "pitwall-push@pitwall-test.iam.gserviceaccount.com"
    ])
    error_message = "A push carries a token for the address it goes to."
  }

  assert {
    condition = alltrue([
      for s in module.pubsub.subscriptions :
      s.dead_letter_policy[0].dead_letter_topic == module.pubsub.topics["${split("-", s.name)[0]}-dead"].id
      && s.dead_letter_policy[0].max_delivery_attempts == 100
    ])
    error_message = "What cannot be delivered a hundred times is put away in the topic for it."
  }

  assert {
    condition = alltrue([
      for s in module.pubsub.subscriptions :
      tonumber(trimsuffix(s.retry_policy[0].minimum_backoff, "s")) < 1 && tonumber(trimsuffix(s.retry_policy[0].maximum_backoff, "s")) <= 60
      if s.name != "jobs-worker"
    ])
    error_message = "A message is tried again within a second at first, and within a minute later."
  }

  assert {
    condition     = module.pubsub.subscriptions["jobs-worker"].retry_policy[0].minimum_backoff == "10s" && module.pubsub.subscriptions["jobs-worker"].retry_policy[0].maximum_backoff == "600s"
    error_message = "A job is tried again after ten seconds at first, and after ten minutes later."
  }

  assert {
    condition     = alltrue([for s in module.pubsub.subscriptions : s.message_retention_duration == "604800s" && s.expiration_policy[0].ttl == ""])
    error_message = "Messages wait for a week, and subscriptions do not expire."
  }

  assert {
    condition     = alltrue([for s in module.pubsub.subscriptions : s.ack_deadline_seconds >= module.function[{ "timing-writer" = "writer", "raw-recorder" = "recorder", "budget-economy" = "economy", "jobs-worker" = "jobs" }[s.name]].function.service_config[0].timeout_seconds])
    error_message = "A push is not repeated while its function may still work on it."
  }

  assert {
    condition     = { for id, s in module.pubsub.dead_letters : id => s.topic } == { for id in ["timing-dead", "events-dead", "raw-dead", "budget-dead", "jobs-dead"] : id => module.pubsub.topics[id].id }
    error_message = "Dead letters wait in a pull subscription of each topic for them."
  }

  assert {
    condition     = alltrue([for s in module.pubsub.dead_letters : s.expiration_policy[0].ttl == "" && s.message_retention_duration == "2678400s" && length(s.push_config) == 0])
    error_message = "Dead letters are kept for 31 days, the most that Pub/Sub does, and pushed to nobody."
  }

  # Database
  assert {
    condition = (
      module.database.database.name == "(default)"
      && module.database.database.type == "FIRESTORE_NATIVE"
      && module.database.database.delete_protection_state == "DELETE_PROTECTION_ENABLED"
      && module.database.database.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    )
    error_message = "The database is native, cannot be deleted, and can be had as it was."
  }

  assert {
    condition     = module.database.backups.retention == "604800s"
    error_message = "Backups are made daily and kept for a week."
  }

  assert {
    condition = toset([
      for index in module.database.indexes : jsonencode([index.collection, index.query_scope, [for f in index.fields : [f.field_path, one([for word in [f.order, f.array_config] : word if contains(["ASCENDING", "DESCENDING", "CONTAINS"], word)])]]])
      ]) == toset([
      for index in jsondecode(file("../firestore.indexes.json")).indexes : jsonencode([index.collectionGroup, index.queryScope, [for f in index.fields : [f.fieldPath, try(f.order, f.arrayConfig)]]])
    ])
    error_message = "Indexes are those of firestore.indexes.json."
  }

  assert {
    condition = toset([
      for field in module.database.fields : jsonencode([field.collection, field.field, [for i in field.index_config[0].indexes : [i.query_scope, i.order]], length(field.ttl_config) == 1])
      ]) == toset([
      for field in jsondecode(file("../firestore.indexes.json")).fieldOverrides : jsonencode([field.collectionGroup, field.fieldPath, [for i in field.indexes : [i.queryScope, i.order]], try(field.ttl, false)])
    ])
    error_message = "Exemptions and times to live are those of firestore.indexes.json."
  }

  assert {
    condition     = length(module.database.fields["live *"].index_config[0].indexes) == 0
    error_message = "Nothing of the tower is indexed: it changes every second, and nobody looks for anything in it."
  }

  assert {
    condition = toset([for field in module.database.fields : "${field.collection} ${field.field}" if length(field.ttl_config) == 1]) == toset(concat(
      [for group in ["checkpoints", "drivers", "gaps", "laps", "live", "log", "notices", "privacyRequests", "raceControl", "results", "sessionStatus", "sessions", "teamRadio", "towers", "trackStatus", "weather"] : "${group} expireAt"],
      ["rateLimits expiresAt", "telemetry until", "telemetryRequests expiresAt"],
    ))
    error_message = "Counts of who asked how often are deleted by Firestore, and so is what is stored of kart tracks once its time is over."
  }

  # Rules
  assert {
    condition     = module.rules.contents == { open = file("../firestore.rules"), closed = file("../firestore.closed.rules") }
    error_message = "The rules are those of firestore.rules and firestore.closed.rules."
  }

  assert {
    condition     = module.rules.release.name == "cloud.firestore" && module.rules.release.ruleset_name == module.rules.rulesets.open
    error_message = "Firestore goes by the open rules."
  }

  assert {
    condition = (
      module.function["economy"].function.service_config[0].environment_variables.PITWALL_RULES_OPEN == module.rules.rulesets.open
      && module.function["economy"].function.service_config[0].environment_variables.PITWALL_RULES_CLOSED == module.rules.rulesets.closed
    )
    error_message = "The function `economy` knows both rulesets."
  }

  # Buckets
  assert {
    condition = alltrue([
      for bucket in [module.raw.bucket, module.source.bucket, module.telemetry.bucket] :
      bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced"
    ])
    error_message = "Nobody can make a bucket or an object of it public."
  }

  assert {
    condition     = module.raw.bucket.name == "pitwall-test-raw" && module.raw.bucket.force_destroy == false
    error_message = "The raw messages are not deleted with their bucket."
  }

  assert {
    condition = [for rule in module.raw.bucket.lifecycle_rule : join(" ", [rule.action[0].type, rule.action[0].type == "SetStorageClass" ? rule.action[0].storage_class : "-", rule.condition[0].age])] == [
      "SetStorageClass ARCHIVE 180", "SetStorageClass NEARLINE 30", "Delete - 730", "Delete - 90", "AbortIncompleteMultipartUpload - 1",
    ]
    error_message = "Raw messages go to colder classes, and are deleted after two years; those of kart tracks after three months."
  }

  assert {
    condition     = { for rule in module.raw.bucket.lifecycle_rule : rule.condition[0].age => rule.condition[0].matches_prefix if rule.action[0].type == "Delete" && rule.condition[0].age == 90 } == { 90 = tolist(["kart-"]) }
    error_message = "Only those of kart tracks are deleted sooner."
  }

  assert {
    condition = module.telemetry.bucket.name == "pitwall-test-telemetry" && [for rule in module.telemetry.bucket.lifecycle_rule : join(" ", [rule.action[0].type, rule.action[0].type == "SetStorageClass" ? rule.action[0].storage_class : "-", rule.condition[0].age])] == [
      "SetStorageClass COLDLINE 365", "SetStorageClass NEARLINE 90", "Delete - 7", "AbortIncompleteMultipartUpload - 1",
    ]
    error_message = "Telemetry goes to colder classes, and what was exported of a person is deleted after a week."
  }

  assert {
    condition     = module.telemetry.bucket.cors[0].origin == tolist(["*"]) && length(module.raw.bucket.cors) == 0
    error_message = "Pages may read telemetry by its signed addresses, and nothing else."
  }

  # Secrets
  assert {
    condition     = module.secrets.ids == toset(["f1tv-token", "openf1-token", "openf1-password", "rate-limit"])
    error_message = "There is a secret for each setting that is one."
  }

  assert {
    condition     = alltrue([for one in module.function : length(one.function.service_config[0].secret_environment_variables) == 0])
    error_message = "A function that is given a secret without a value does not start."
  }

  assert {
    condition = alltrue([
      for one in module.function :
      length(setintersection(keys(one.function.service_config[0].environment_variables), ["PITWALL_F1_TOKEN", "PITWALL_OPENF1_TOKEN", "PITWALL_OPENF1_PASSWORD", "PITWALL_RATE_LIMIT_SECRET"])) == 0
    ])
    error_message = "No secret is a plain environment variable: those are in the state."
  }

  # Settings
  assert {
    condition = alltrue([
      for one in module.function :
      length(setsubtract(
        [for name, value in merge(local.defaults, local.wired) : name if value != ""],
        keys(one.function.service_config[0].environment_variables),
      )) == 0
    ])
    error_message = "Every function has every setting."
  }

  assert {
    condition     = module.function["poller"].function.service_config[0].environment_variables.PITWALL_PUBSUB_ENDPOINT == "europe-west1-pubsub.googleapis.com:443"
    error_message = "Messages are published in the region in which they are kept."
  }

  assert {
    condition     = module.function["api"].function.service_config[0].environment_variables.GOOGLE_CLOUD_PROJECT == "pitwall-test"
    error_message = "A function knows its project."
  }

  # Monitoring
  assert {
    condition     = toset(keys(module.monitoring.alerts)) == toset(["silent", "refused", "dead-letters", "writer-lag", "errors", "economy"])
    error_message = "Alerts: feed silent, feed refused, dead letters, writer lag, errors, budget."
  }

  assert {
    condition     = module.monitoring.uptime.monitored_resource[0].labels.host == trimprefix(module.function["api"].url, "https://")
    error_message = "It is the deployed API that is asked whether a feed is silent."
  }

  assert {
    condition     = length(jsondecode(module.monitoring.dashboard.dashboard_json).mosaicLayout.tiles) == 14
    error_message = "The dashboard has its charts."
  }

  assert {
    condition = alltrue([
      for used in flatten(regexall("logging.googleapis.com/user/(pitwall/[a-z_]+)", module.monitoring.dashboard.dashboard_json)) :
      contains([for metric in module.monitoring.metrics : metric.name], used)
    ])
    error_message = "The dashboard shows metrics that there are."
  }

  # Outputs
  assert {
    condition     = output.urls == { for name, one in module.function : name => one.function.service_config[0].uri }
    error_message = "The address of every function is told."
  }

  assert {
    condition     = output.hosting_url == "https://pitwall-test.web.app"
    error_message = "The address behind the CDN is told."
  }
}
