# Who may do what. Every right there is goes through here, into the module `access`; what comes of it is asserted as a
# whole in tests/access.tftest.hcl.

locals {
  accounts = merge(
    { for name, function in local.functions : "pitwall-${name}" => "Function ${name}: ${function.does}" },
    {
      pitwall-build     = "Builds the functions"
      pitwall-push      = "Pub/Sub, pushing to functions"
      pitwall-scheduler = "Cloud Scheduler, calling functions"
      pitwall-collector = "The collector outside Google Cloud"
    },
  )
  members = { for id in keys(local.accounts) : trimprefix(id, "pitwall-") => "serviceAccount:${id}@${var.project}.iam.gserviceaccount.com" }

  pubsub_agent = "serviceAccount:service-${data.google_project.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  budget_agent = "serviceAccount:billing-budget-alert@system.gserviceaccount.com"

  # Firestore's rights know databases, not collections. So what each may do with documents is all that can be told
  # apart; that a message can make no API key is seen to by the writer itself.
  entities = {
    api        = ["get", "list", "create", "update", "delete"]
    economy    = ["get", "create", "update"]
    jobs       = ["get", "list", "create", "update", "delete"]
    karts      = ["get", "create", "update"]
    poller     = ["get", "create", "update"]
    reconciler = ["get", "list", "create", "update"]
    schedule   = ["get", "list", "create", "update", "delete"]
    writer     = ["get", "create", "update", "delete"]
  }

  roles = merge(
    {
      for name, may in local.entities : "pitwall${title(name)}" => {
        title       = "PitWall ${name}: documents"
        permissions = [for one in may : "datastore.entities.${one}"]
      }
    },
    {
      pitwallAccounts = {
        title       = "PitWall api: accounts"
        permissions = ["firebaseauth.users.get", "firebaseauth.users.update"]
      }
      pitwallRules = {
        title       = "PitWall economy: which security rules hold"
        permissions = ["firebaserules.releases.get", "firebaserules.releases.update", "firebaserules.rulesets.get"]
      }
      # Deleting too: Cloud Storage asks for it when an object is there already, as it is after a redelivery.
      pitwallRecorder = {
        title       = "PitWall recorder: raw messages"
        permissions = ["storage.objects.create", "storage.objects.delete"]
      }
      pitwallTelemetry = {
        title       = "PitWall jobs: computed telemetry"
        permissions = ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"]
      }
      pitwallTelemetryReader = {
        # Listing too: who may not is told of an object that is not there that it is forbidden.
        title       = "PitWall api: computed telemetry"
        permissions = ["storage.objects.get", "storage.objects.list"]
      }
      # Of kart tracks alone: their recordings hold names of private drivers.
      pitwallErasure = {
        title       = "PitWall jobs: recordings without a name that is to be erased"
        permissions = ["storage.objects.create", "storage.objects.delete"]
      }
      pitwallRecordings = {
        # Listing cannot be limited to kart tracks, of which alone the API gives anything out.
        title       = "PitWall jobs and api: recordings, where there is no archive"
        permissions = ["storage.objects.get", "storage.objects.list"]
      }
      # On its own account alone: what signs the addresses of large objects.
      pitwallSigner = {
        title       = "PitWall api: signing as itself"
        permissions = ["iam.serviceAccounts.signBlob"]
      }
    },
  )
  role = { for id in keys(local.roles) : id => "projects/${var.project}/roles/${id}" }

  one_database = {
    title      = "one-database"
    expression = "resource.name == 'projects/${var.project}/databases/(default)'"
  }
  karts_only = {
    title      = "kart-recordings"
    expression = "resource.name.startsWith('projects/_/buckets/${local.raw_bucket}/objects/kart-')"
  }
  sources_only = {
    title      = "sources-of-functions"
    expression = "resource.name.startsWith('projects/_/buckets/gcf-v2-sources-${data.google_project.project.number}-${var.region}')"
  }

  publishes = {
    karts      = ["timing", "events", "raw"]
    poller     = ["timing", "events", "raw"]
    collector  = ["timing", "events", "raw"]
    reconciler = ["timing"]
    writer     = ["timing-dead"]
    recorder   = ["raw-dead"]
    economy    = ["budget-dead"]
    api        = ["jobs"]
    jobs       = ["jobs", "jobs-dead"]
  }

  reads_secrets = {
    poller    = ["f1tv-token", "openf1-token", "openf1-password"]
    collector = ["f1tv-token", "openf1-token", "openf1-password"]
    api       = ["rate-limit"]
  }

  # What has to be given before the functions are built and started.
  grants = concat(
    [
      for name in keys(local.entities) :
      { kind = "project", target = var.project, role = local.role["pitwall${title(name)}"], member = local.members[name], condition = local.one_database }
    ],
    [
      { kind = "project", target = var.project, role = local.role.pitwallPoller, member = local.members.collector, condition = local.one_database },
      { kind = "project", target = var.project, role = local.role.pitwallAccounts, member = local.members.api, condition = null },
      { kind = "project", target = var.project, role = local.role.pitwallRules, member = local.members.economy, condition = null },
      { kind = "project", target = var.project, role = "roles/logging.logWriter", member = local.members.build, condition = null },
      { kind = "project", target = var.project, role = "roles/storage.objectViewer", member = local.members.build, condition = local.sources_only },
      { kind = "bucket", target = local.source_bucket, role = "roles/storage.objectViewer", member = local.members.build, condition = null },
      { kind = "repository", target = "functions", role = "roles/artifactregistry.writer", member = local.members.build, condition = null },
      { kind = "bucket", target = local.raw_bucket, role = local.role.pitwallRecorder, member = local.members.recorder, condition = null },
      { kind = "bucket", target = local.raw_bucket, role = local.role.pitwallRecordings, member = local.members.jobs, condition = null },
      { kind = "bucket", target = local.raw_bucket, role = local.role.pitwallRecordings, member = local.members.api, condition = null },
      { kind = "bucket", target = local.raw_bucket, role = local.role.pitwallErasure, member = local.members.jobs, condition = local.karts_only },
      { kind = "bucket", target = local.telemetry_bucket, role = local.role.pitwallTelemetry, member = local.members.jobs, condition = null },
      { kind = "bucket", target = local.telemetry_bucket, role = local.role.pitwallTelemetryReader, member = local.members.api, condition = null },
      { kind = "account", target = trimprefix(local.members.api, "serviceAccount:"), role = local.role.pitwallSigner, member = local.members.api, condition = null },
      { kind = "account", target = trimprefix(local.members.push, "serviceAccount:"), role = "roles/iam.serviceAccountOpenIdTokenCreator", member = local.pubsub_agent, condition = null },
    ],
    flatten([
      for name, ids in local.reads_secrets : [
        for id in ids :
        { kind = "secret", target = id, role = "roles/secretmanager.secretAccessor", member = local.members[name], condition = null }
      ]
    ]),
    [
      for name in keys(local.functions) :
      { kind = "project", target = var.project, role = "roles/telemetry.metricsWriter", member = local.members[name], condition = null }
      if local.to_google
    ],
  )

  # What can only be given once functions, topics and subscriptions are there.
  late_grants = concat(
    flatten([
      for name, topics in local.publishes : [
        for topic in topics :
        { kind = "topic", target = topic, role = "roles/pubsub.publisher", member = local.members[name] }
      ]
    ]),
    flatten([
      for id, subscription in local.subscriptions : [
        { kind = "topic", target = "${subscription.topic}-dead", role = "roles/pubsub.publisher", member = local.pubsub_agent },
        { kind = "subscription", target = id, role = "roles/pubsub.subscriber", member = local.pubsub_agent },
        { kind = "function", target = subscription.function, role = "roles/run.invoker", member = local.members.push },
      ]
    ]),
    [
      for function in toset([for job in local.jobs : job.function if job.wanted]) :
      { kind = "function", target = function, role = "roles/run.invoker", member = local.members.scheduler }
    ],
    [
      { kind = "function", target = "api", role = "roles/run.invoker", member = "allUsers" },
    ],
    [
      for on in [var.billing_account] :
      { kind = "topic", target = "budget", role = "roles/pubsub.publisher", member = local.budget_agent } if on != ""
    ],
  )

  to_google = can(regex("^https://telemetry\\.googleapis\\.com/", merge(local.defaults, var.settings).PITWALL_METRICS_URL))
}
