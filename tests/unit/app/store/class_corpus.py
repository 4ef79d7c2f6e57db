"""Fields and their classes: names of the shipped profiles' payloads and of vendors' documents, the
spellings that senders use, and values that only look like something. A line is `name = value`;
without a part of the request it stands in the body. `#` begins a source."""

OF_PERSONS = {
    "identifier.person": """
        # spellings of a user's name
        query.username = jo
        user_name = jo
        userName = jo
        USER = jo
        os.user = jo
        system.user = jo
        git.user = jo
        login = jo
        logname = jo
        user.name = Jo Doe
        user.full_name = Jo Doe
        context.traits.firstName = Jo
        lastName = Doe
        traits.name.display_name = Jo
        owner = jo
        author = Jo
        created_by = jo
        process.owner = jo
        env.USERNAME = jo
        whoami = jo
        header.x-remote-user = jo
        users[] = jo
        # ids of persons: Segment, RudderStack, PostHog, Mixpanel, Amplitude, dbt, n8n, Next.js
        batch[].userId = 7f9c24e5
        batch[].anonymousId = 5f0c7b1e-93ad-4a4e-8d7e-6b1f2a3c4d5e
        distinct_id = 5f0c7b1e-93ad-4a4e-8d7e-6b1f2a3c4d5e
        $distinct_id = jo
        properties.$user_id = 12
        events[].user_id = u-12
        context.anonymousId = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
        query.data›base64›json.data[].uid = 2f11b5d6-a899-4552-b2be-2a3139012f5d
        user.id = 12
        user_hash = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
        author_id = 9
        properties.admin_id = 3
        identity_id = x
        # a home directory in a value names its owner
        cwd = /home/jo/work
        working_dir = /Users/jo/src/app
        HOME = /home/jo
        path = C:\\Users\\jo\\AppData
        executable = /home/jo/.venv/bin/python
        argv = app --config=/home/jo/app.yaml
        sys_prefix = /Users/jo/.pyenv/versions/3.12
        error.message = cannot open file:///home/jo/data.csv
        frames[].abs_path = /Users/jo/app/main.py
        home_dir = /root
        date_of_birth = 1980-01-01
        emailHash = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
    """,
    "identifier.device": """
        # spellings of a host's name
        hostname = worker-1
        host_name = worker-1
        hostName = worker-1
        HOSTNAME = worker-1
        host = worker-1
        resource.attributes.host.name = worker-1
        fqdn = worker-1.example.com
        fqdns[] = worker-1.example.com
        machineName = JO-PC
        computer_name = JO-PC
        ComputerName = JO-PC
        nodeName = worker-1
        node_name = worker-1
        node = worker-1
        server_name = jos-laptop
        nodename = worker-1
        agent_metadata.hostname = worker-1
        k8s.node.name = worker-1
        device_name = Jo's phone
        workstation = JO-PC
        sysname = worker-1
        query.host = worker-1
        nodes[] = worker-1
        header.x-hostname = worker-1
        # ids of machines: Datadog, Weaviate, Amplitude, Sentry
        machine_id = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
        machineId = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        hostid = 12
        host.id = i-0abcdef1234567890
        agent_metadata.hostid = worker-1
        nodeId = n-1
        query.nodeid = 1
        device_id = ab12
        $device_id = 5f0c7b1e-93ad-4a4e-8d7e-6b1f2a3c4d5e
        hardware_id = 12
        serial_number = C02ABC
        system.uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        boot_id = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        idfa = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        imei = 356938035643809
        # by the look
        x1 = 02:42:ac:11:00:02
        x1 = 02-42-AC-11-00-02
        x1 = 0242.ac11.0002
        mac_address = 024ac110002f
        primaryMac = x
        x1 = jos-macbook-pro.local
        x1 = Jos-MacBook-Pro
        x1 = DESKTOP-4QK2ABC
        x1 = ip-10-0-0-1.ec2.internal
        x1 = i-0abcdef1234567890
        x1 = db-1.corp.internal
        browser_fingerprint = 0f4d7c1c5e3d4ddc
    """,
    "identifier.installation": """
        # Grafana, Loki, Tempo, Mimir, GitLab, Cribl, CockroachDB, Linkerd, Calico, Longhorn
        usageStatsId = tok_0123456789abcdef01234567
        clusterID = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        query.guid = tok_0123456789abcdef01234567
        query.uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        query.logical_uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        extraFieldInfo.LonghornNamespaceUid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        query.signature = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        # Replicated, NGINX Gateway Fabric, Sentry, MLflow, Ray, Prefect, Redpanda, n8n, Kibana
        header.x-replicated-clusterid = abc
        header.x-replicated-instanceid = abc
        header.x-elastic-cluster-id = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        ClusterID = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        InstallationID = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        install_id = abc
        installation_id = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        session_id = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        records[].data.session_id = abc
        cluster_uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        cluster_name = production
        instanceId = 8a5a
        service.instance.id = 8a5a
        deployment_id = 8a5a
        context.sessionId = 0f4d7c1c
        client_id = 12.34
        container.id = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
        k8s.pod.uid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        telemetry_id = 12
        os = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        analytics-uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        app_id = 12
        x1 = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        x1 = tok_0123456789abcdef01234567
    """,
    "identifier.organisation": """
        organization_id = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        query.organization_id = 12
        org_id = 12
        orgName = Example
        tenantid = 1
        tenant = example
        company = Example
        company_name = Example
        customer_id = 12
        account_id = 123456789012
        account = example
        workspaceId = ws
        team_id = 12
        project_id = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
        projectId = abc
        employer = Example
        git.remote = x
        repo_url = x
        x1 = arn:aws:iam::123456789012:role/app
        x1 = /subscriptions/0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa/resourceGroups/x
    """,
    "contact": """
        email = x
        admin_email = jo@example.com
        userEmail = jo@example.com
        e-mail = x
        traits.email = x
        x1 = jo@example.com
        x1 = jo.doe+tag@sub.example.co.uk
        x1 = user@163.com
        x1 = Jo Doe <jo@example.com>
        x1 = mailto:jo@example.com
        x1 = jo@example.com,bo@example.com
        x1 = jo@company.dev
        x1 = write to jo@example.com now
        error = no such user: jo@example.com
        login = jo@example.com
        phone = 12
        phone_number = +49 30 1234567
        x1 = +1 (202) 555-0123
        mobile = 491701234567
        billing_address = x
    """,
    "network": """
        ip = x
        ip_address = 10.0.0.1
        ipAddr = 10.0.0.1
        clientIp = x
        remote_addr = 10.0.0.1:443
        header.x-forwarded-for = 10.0.0.1
        header.x-real-ip = 10.0.0.1
        kafka_advertised_listeners[].address = x
        x1 = 10.0.0.1
        x1 = 10.0.0.0/8
        x1 = fe80::1
        x1 = [::1]:8080
        x1 = 2001:db8::/32
        domainname = example.com
        proxy = x
        http_proxy = x
        dns_servers = x
        db_host = x
        smtp.host = x
        bind_address = x
        subnet = x
        x1 = jo@10.0.0.1
    """,
    "location": """
        country = DE
        country_code = DE
        countryCode = DE
        geo.city = Berlin
        city = Berlin
        region = eu-west-1
        timezone = CET
        time_zone = x
        tz = CET
        tzOffset = 60
        context.timezone = Europe/Berlin
        x1 = Europe/Berlin
        x1 = America/Argentina/Buenos_Aires
        x1 = 52.5200,13.4050
        latitude = 52.52
        lon = 13.4
        $geoip_city_name = Berlin
        zip_code = 10115
        location = x
        cloud.availability_zone = eu-west-1a
    """,
}  # fmt: skip
